//! `etims-sim` simulates the tax authority.

use std::io::IsTerminal;

use anyhow::Result;
use clap::Parser;
use etims_sim::Config;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// A faithful KRA eTIMS, with faults on demand.
#[derive(Parser)]
#[command(name = "etims-sim", version)]
struct Program {
    #[command(flatten)]
    config: Config,
}

#[tokio::main]
async fn main() -> Result<()> {
    let program = Program::parse();
    start_logging();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let simulator = etims_sim::start(program.config).await?;
    tracing::info!("listening on {}", simulator.url());
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    simulator.stop().await
}

fn start_logging() {
    let default_filter = || EnvFilter::new("warn,etims_sim=info");
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| default_filter()))
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        // Whoever waited for the first line may have closed the pipe since.
        .log_internal_errors(false)
        .init();
}
