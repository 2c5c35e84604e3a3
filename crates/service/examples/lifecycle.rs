//! A program without work that ends in the way its argument says. The tests of the boot path run
//! it.

use std::future;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use risiti_service::{BadSetting, Boot, Context, CredentialsArgs, GraceArgs, LogArgs, OpsArgs};

/// Together about 2 MB. A pipe holds 64 KiB.
const TALKATIVE_LINES: usize = 10_000;

#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    ops: OpsArgs,
    #[command(flatten)]
    grace: GraceArgs,
    #[command(flatten)]
    credentials: CredentialsArgs,
    way: Way,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Way {
    /// Ends when the shutdown begins.
    Obedient,
    /// Ends when the grace period is over.
    Late,
    /// Never ends by itself.
    Stubborn,
    /// Finds at boot that a setting is wrong.
    Misconfigured,
    /// Returns an error.
    Fails,
    /// Panics.
    Panics,
    /// Ends by itself with a code of its own.
    Done,
    /// Logs more than a pipe and the queue of the log hold, and is ready after that.
    Talkative,
}

async fn run(args: Args, context: Context) -> anyhow::Result<ExitCode> {
    if matches!(args.way, Way::Talkative) {
        context.readiness.set("work", Err("still talking".into()));
        for line in 0..TALKATIVE_LINES {
            tracing::info!(line, "{}", "words ".repeat(30));
        }
    }
    context.readiness.set("work", Ok(()));
    match args.way {
        Way::Obedient | Way::Talkative => context.shutdown.cancelled().await,
        Way::Late => context.deadline.cancelled().await,
        Way::Stubborn => future::pending().await,
        Way::Misconfigured => {
            return Err(
                BadSetting::new("RISITI_CREDENTIALS_KEY", "does not fit this database").into(),
            );
        }
        Way::Fails => anyhow::bail!("found no work"),
        Way::Panics => panic!("a defect"),
        Way::Done => return Ok(ExitCode::from(3)),
    }
    Ok(ExitCode::SUCCESS)
}

fn main() -> ExitCode {
    let args: Args = match risiti_service::parse() {
        Ok(args) => args,
        Err(code) => return code,
    };
    let boot = Boot::new("lifecycle", &args.log)
        .ops(&args.ops)
        .grace(&args.grace);
    risiti_service::run(boot, |context| run(args, context))
}
