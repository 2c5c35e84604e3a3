#![doc = include_str!("../README.md")]

mod act;
mod cli;
mod confirm;
mod export;
mod lanes;
mod lanes_cli;
mod list;
mod output;
mod pace;
mod pass;
mod run;
mod session;
mod show;
mod values;
mod waker;

use std::process::ExitCode;

use act::Deed;
use risiti_ledger::OperatorAction;
use risiti_service::{BadSetting, Context};

pub use cli::Cli;
use cli::Command;

/// Another run holds the lock.
const EXIT_HELD: u8 = 3;

/// Runs one command to its end.
///
/// # Errors
/// Only [`BadSetting`]s; why a command failed is printed here.
pub async fn run(cli: Cli, context: Context) -> anyhow::Result<ExitCode> {
    let out = output::Output::new(cli.shared.json);
    let operator = cli.shared.operator();
    let done = match cli.command {
        Command::List(args) => list::list(&args, out).await,
        Command::Show(args) => show::show(args, out).await,
        Command::Run(args) => {
            let by = OperatorAction {
                operator,
                reason: args.reason,
            };
            run::go_over_the_pile(&args.pass, by, Deed::Replay, out, &context).await
        }
        Command::Discard(args) => {
            let by = OperatorAction {
                operator,
                reason: args.reason,
            };
            run::go_over_the_pile(&args.pass, by, Deed::Discard, out, &context).await
        }
        Command::Export(args) => export::export(args, operator, out, &context).await,
        Command::Lanes(command) => lanes::run(command, operator, out).await,
    };
    match done {
        Ok(code) => Ok(code),
        Err(error) if error.chain().any(|cause| cause.is::<BadSetting>()) => Err(error),
        Err(error) => {
            out.problem(&format!("{error:#}"));
            Ok(ExitCode::FAILURE)
        }
    }
}
