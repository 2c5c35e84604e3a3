//! Runs `risiti-admin` and `risiti-replay` as a person would, and reads the JSON they print.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;
use tokio::process::Command;

const TIME_LIMIT: Duration = Duration::from_secs(60);

/// Runs a command with `--json` and returns the objects that it printed, one a line.
///
/// Secrets are passed in `variables`, because other users can read the arguments of a process.
pub(crate) async fn run(
    program: &Path,
    args: &[&str],
    variables: &[(&str, &str)],
) -> anyhow::Result<Vec<Value>> {
    let name = program
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let mut command = Command::new(program);
    command
        .args(args)
        .arg("--json")
        .envs(variables.iter().copied());
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let output = tokio::time::timeout(TIME_LIMIT, command.output())
        .await
        .with_context(|| {
            format!(
                "{name} {} took over {} s",
                args.join(" "),
                TIME_LIMIT.as_secs()
            )
        })?
        .with_context(|| format!("failed to run {}", program.display()))?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        bail!(
            "{name} {} failed with {}: {}",
            args.join(" "),
            output.status,
            message.trim()
        );
    }
    let printed = String::from_utf8(output.stdout).context("its output is not text")?;
    printed
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| serde_json::from_str(line).with_context(|| format!("{name} printed no JSON")))
        .collect()
}

/// Returns a field of the first object printed.
pub(crate) fn field(printed: &[Value], name: &str) -> anyhow::Result<String> {
    let found = printed.first().and_then(|object| object[name].as_str());
    found
        .map(str::to_owned)
        .with_context(|| format!("the answer has no {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn output_is_read_line_by_line() {
        let printed = run(
            Path::new("/bin/echo"),
            &["{\"a\":\"b\"}\n{}\n{\"unused\":"],
            &[],
        )
        .await;
        assert!(printed.is_err());
        let shell = [
            "-c",
            "echo \"{\\\"a\\\":\\\"$HIDDEN\\\"}\"; echo; echo '{}'",
        ];
        let printed = run(Path::new("/bin/sh"), &shell, &[("HIDDEN", "b")])
            .await
            .unwrap();
        assert_eq!(printed.len(), 2);
        assert_eq!(field(&printed, "a").unwrap(), "b");
        assert!(field(&printed, "c").is_err());
    }

    #[tokio::test]
    async fn failure_carries_the_programs_message() {
        let failed = run(
            Path::new("/bin/sh"),
            &["-c", "echo no such merchant >&2; exit 1"],
            &[],
        )
        .await;
        assert!(failed.unwrap_err().to_string().contains("no such merchant"));
    }
}
