#![doc = include_str!("../README.md")]

mod admin;
mod audit;
mod cli;
mod draw;
mod fault_script;
mod fleet;
mod http;
mod record;
mod seed;
mod simulator;
mod storm;
mod traffic;

use std::process::ExitCode;

pub use cli::Cli;

use cli::Command;

/// Runs one command. Exit code 0 means that it is done, and after `audit` that the books balance.
/// 1 means that they do not, or that the command failed.
pub fn main_entry(cli: Cli) -> ExitCode {
    // This fails only where a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return report_failure(&error.into()),
    };
    runtime
        .block_on(run(cli.command))
        .unwrap_or_else(|error| report_failure(&error))
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Seed(args) => seed::run(args).await?,
        Command::Trouble(args) => fault_script::run(args).await?,
        Command::Storm(args) => storm::run(args).await?,
        Command::Settle(args) => return audit::settle(args).await,
        Command::Audit(args) => return audit::run(args).await,
    }
    Ok(ExitCode::SUCCESS)
}

fn report_failure(error: &anyhow::Error) -> ExitCode {
    eprintln!("risiti-load: {error:#}");
    ExitCode::FAILURE
}
