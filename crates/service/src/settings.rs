//! Parses a program's settings from the command line and the environment. A bad setting becomes one
//! line that names it.

use std::error::Error as _;
use std::ffi::OsString;
use std::fmt::Display;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Args, Command, Parser};

/// Exit code of a bad setting.
pub(crate) const EXIT_BAD_SETTING: u8 = 2;

/// A setting that parsed but turned out to be wrong later, at boot. Examples are a key that does
/// not fit the database and an address that is taken. [`run`](crate::run) ends with exit code 2
/// when it finds one in the error chain.
#[derive(Debug, thiserror::Error)]
#[error("{setting}: {problem}")]
pub struct BadSetting {
    setting: String,
    problem: String,
}

impl BadSetting {
    /// `setting` is the flag or the variable. `problem` must not contain the value of a secret.
    pub fn new(setting: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            setting: setting.into(),
            problem: problem.into(),
        }
    }

    /// Names the argument `id` of `A` by its flag and its variable. Both are read from the
    /// definition of the argument, so that no error text repeats them. `problem` must not hold the
    /// value of a secret.
    pub fn of<A: Args>(id: &str, problem: impl Display) -> Self {
        let command = A::augment_args(Command::new("settings"));
        let argument = command.get_arguments().find(|arg| arg.get_id() == id);
        debug_assert!(argument.is_some(), "no argument has the id {id}");
        Self::new(
            argument.map_or_else(|| id.to_owned(), setting_name),
            problem.to_string(),
        )
    }
}

/// Parses the arguments and environment of this process.
///
/// # Errors
/// The exit code to end with. It is 0 after `--help` or `--version` was printed, and 2 after one
/// line on standard error that named the bad setting.
pub fn parse<P: Parser>() -> Result<P, ExitCode> {
    parse_from(std::env::args_os()).map_err(|error| {
        if error.use_stderr() {
            eprintln!("{}", one_line(&error, &P::command()));
            ExitCode::from(EXIT_BAD_SETTING)
        } else {
            // `--help` succeeds even when standard output is closed.
            error.print().ok();
            ExitCode::SUCCESS
        }
    })
}

/// Parses the given arguments, of which the first is the program's name, and the environment.
///
/// # Errors
/// Clap's error. It may quote the value of a secret, which [`parse`] leaves out when it prints.
pub fn parse_from<P: Parser>(
    argv: impl IntoIterator<Item = impl Into<OsString> + Clone>,
) -> Result<P, clap::Error> {
    P::try_parse_from(argv)
}

/// Clap's error as one line that names the setting.
fn one_line(error: &clap::Error, command: &Command) -> String {
    let arg = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(name)) => find(command, name),
        _ => None,
    };
    match (error.kind(), arg) {
        (ErrorKind::ValueValidation | ErrorKind::InvalidValue, Some(arg)) => {
            format!(
                "error: invalid value for {}: {}",
                setting_name(arg),
                problem(error, arg)
            )
        }
        // Only usage follows the first paragraph of clap's text.
        _ => {
            let text = error.to_string();
            let paragraph = text.split("\n\n").next().unwrap_or_default();
            let words: Vec<&str> = paragraph.split_whitespace().collect();
            match missing_settings(error, command) {
                Some(missing) => format!("error: required setting not given: {missing}"),
                None => words.join(" "),
            }
        }
    }
}

fn problem(error: &clap::Error, arg: &Arg) -> String {
    let value = match error.get(ContextKind::InvalidValue) {
        Some(ContextValue::String(value)) if !arg.is_hide_env_values_set() => format!("'{value}' "),
        _ => String::new(),
    };
    let why = match (error.source(), error.get(ContextKind::ValidValue)) {
        (Some(source), _) => source.to_string(),
        (None, Some(ContextValue::Strings(valid))) => {
            format!("expected one of {}", valid.join(", "))
        }
        _ => "not accepted".into(),
    };
    format!("{value}{why}").replace('\n', " ")
}

/// The settings that are required and were not given. `None` for other errors.
fn missing_settings(error: &clap::Error, command: &Command) -> Option<String> {
    if error.kind() != ErrorKind::MissingRequiredArgument {
        return None;
    }
    let Some(ContextValue::Strings(missing)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let named = missing
        .iter()
        .map(|shown| find(command, shown).map_or_else(|| shown.clone(), setting_name));
    Some(named.collect::<Vec<_>>().join(", "))
}

/// The argument that clap shows as `--flag <VALUE>`, in the command or any of its subcommands.
fn find<'a>(command: &'a Command, shown: &str) -> Option<&'a Arg> {
    let flag = shown.split([' ', '=']).next()?.strip_prefix("--")?;
    let own = command
        .get_arguments()
        .find(|arg| arg.get_long() == Some(flag));
    own.or_else(|| {
        command
            .get_subcommands()
            .find_map(|subcommand| find(subcommand, shown))
    })
}

/// A setting as error texts name it: the flag, and in brackets its variable.
pub fn setting_name(arg: &Arg) -> String {
    let flag = format!("--{}", arg.get_long().unwrap_or(arg.get_id().as_str()));
    match arg.get_env() {
        Some(variable) => format!("{flag} ({})", variable.to_string_lossy()),
        None => flag,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::{AmqpArgs, CredentialsArgs, GraceArgs, LogArgs, OpsArgs};

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        log: LogArgs,
        #[command(flatten)]
        ops: OpsArgs,
        #[command(flatten)]
        grace: GraceArgs,
        #[command(flatten)]
        amqp: AmqpArgs,
        #[command(flatten)]
        credentials: CredentialsArgs,
    }

    const KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
    const URL: &str = "amqp://user:hunter2@localhost/%2f";

    fn parsed(more: &[&str]) -> Result<Program, String> {
        let base = ["program", "--amqp-url", URL, "--credentials-key", KEY];
        let argv = base.iter().chain(more).copied();
        parse_from::<Program>(argv).map_err(|e| one_line(&e, &Program::command()))
    }

    #[test]
    fn defaults_are_those_of_the_contract() {
        let program = parsed(&[]).unwrap();
        assert_eq!(program.grace.grace.as_secs(), 20);
        assert_eq!(program.amqp.publish_timeout.as_secs(), 2);
        assert_eq!(program.amqp.namespace, "risiti");
        assert_eq!(program.ops.ops_listen.to_string(), "127.0.0.1:0");
    }

    #[test]
    fn bad_value_is_one_line_with_flag_and_variable() {
        let line = parsed(&["--grace", "soon"]).unwrap_err();
        assert!(
            line.starts_with("error: invalid value for --grace (RISITI_GRACE): 'soon' expected"),
            "{line}"
        );
        assert!(!line.contains('\n'), "{line}");
    }

    #[test]
    fn value_outside_a_list_shows_the_list() {
        let line = parsed(&["--log-format", "xml"]).unwrap_err();
        assert_eq!(
            line,
            "error: invalid value for --log-format (RISITI_LOG_FORMAT): 'xml' expected one of text, json"
        );
    }

    #[test]
    fn missing_setting_is_named_with_its_variable() {
        #[derive(Debug, Parser)]
        struct Strict {
            #[arg(long = "needed", env = "RISITI_TEST_NEVER_SET")]
            _needed: String,
        }
        let error = parse_from::<Strict>(["program"]).unwrap_err();
        let line = one_line(&error, &Strict::command());
        assert_eq!(
            line,
            "error: required setting not given: --needed (RISITI_TEST_NEVER_SET)"
        );
    }

    #[test]
    fn unknown_flag_is_one_line() {
        let line = parsed(&["--frobnicate"]).unwrap_err();
        assert!(
            line.contains("--frobnicate") && !line.contains('\n'),
            "{line}"
        );
    }

    #[test]
    fn a_bad_secret_is_named_and_not_shown() {
        let line = parsed(&["--credentials-key-old", "hunter2hunter2"]).unwrap_err();
        assert!(
            line.contains("RISITI_CREDENTIALS_KEY_OLD") && !line.contains("hunter2"),
            "{line}"
        );
        let argv = [
            "program",
            "--credentials-key",
            KEY,
            "--amqp-url",
            "http://user:hunter2@localhost",
        ];
        let line = one_line(
            &parse_from::<Program>(argv).unwrap_err(),
            &Program::command(),
        );
        assert!(
            line.contains("AMQP_URL") && !line.contains("hunter2"),
            "{line}"
        );
    }

    #[test]
    fn debug_of_settings_shows_no_secret() {
        let shown = format!("{:?}", parsed(&[]).unwrap());
        assert!(
            !shown.contains("hunter2") && !shown.contains(KEY),
            "{shown}"
        );
    }

    #[test]
    fn help_never_shows_the_value_of_a_secret_variable() {
        let secrets = ["amqp_url", "credentials_key", "credentials_key_old"];
        for arg in Program::command().get_arguments() {
            let secret = secrets.contains(&arg.get_id().as_str());
            assert_eq!(arg.is_hide_env_values_set(), secret, "{}", arg.get_id());
        }
    }
}
