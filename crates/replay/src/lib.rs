#![doc = include_str!("../README.md")]

mod act;
mod cli;
mod confirm;
mod list;
mod output;
mod pace;
mod pass;
mod run;
mod session;
mod values;
mod waker;

use std::process::ExitCode;

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
        Command::Run(args) => run::run(&args, &operator, out, &context).await,
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
