//! A program that does nothing but live and end in the way it is told, for the tests of the boot path.

use clap::{Parser, ValueEnum};
use risiti_service::{BadSetting, Boot, Context, CredentialsArgs, GraceArgs, LogArgs, OpsArgs};
use std::process::ExitCode;

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
    /// Ends when asked.
    Obedient,
    /// Lets go when the grace is over.
    Late,
    /// Never ends by itself.
    Stubborn,
    /// Finds at boot that a setting does not fit.
    Misconfigured,
    Fails,
    Panics,
    /// Ends by itself with a code of its own.
    Done,
}

async fn live(args: Args, context: Context) -> anyhow::Result<ExitCode> {
    context.readiness.set("work", Ok(()));
    match args.way {
        Way::Obedient => context.shutdown.cancelled().await,
        Way::Late => context.deadline.cancelled().await,
        Way::Stubborn => std::future::pending().await,
        Way::Misconfigured => {
            return Err(BadSetting::new("RISITI_CREDENTIALS_KEY", "opens nothing here").into());
        }
        Way::Fails => anyhow::bail!("no work to be had"),
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
    risiti_service::run(boot, |context| live(args, context))
}
