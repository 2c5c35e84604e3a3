#![doc = include_str!("../README.md")]

mod admin;
mod audit;
mod cli;
mod daraja;
mod delivery;
mod draw;
mod fleet;
mod gumroad;
mod http;
mod message;
mod noise;
mod pace;
mod paystack;
mod plots;
mod record;
mod seed;
mod sim;
mod spelling;
mod storm;
mod story;
mod trouble;

use std::process::ExitCode;

pub use cli::Cli;

use cli::Command;

/// Runs one command. Exit code 0: done, and for `audit` the books balance; 1: they do not, or it failed.
pub fn main_entry(cli: Cli) -> ExitCode {
    // An error here only says that somebody installed one before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return complain(&error.into()),
    };
    runtime
        .block_on(run(cli.command))
        .unwrap_or_else(|error| complain(&error))
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Seed(args) => seed::run(args).await?,
        Command::Trouble(args) => trouble::run(args).await?,
        Command::Storm(args) => storm::run(args).await?,
        Command::Settle(args) => return audit::settle(args).await,
        Command::Audit(args) => return audit::run(args).await,
    }
    Ok(ExitCode::SUCCESS)
}

fn complain(error: &anyhow::Error) -> ExitCode {
    eprintln!("risiti-load: {error:#}");
    ExitCode::FAILURE
}
