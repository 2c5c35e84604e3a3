//! `etims-sim` simulates the tax authority.

use std::io::IsTerminal;

use anyhow::Result;
use clap::Parser;
use etims_sim::Config;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

const FAULTS: &str = r#"Faults: POST /_sim/faults adds a rule, GET shows all, DELETE /_sim/faults/ID removes one.
  curl -X POST http://ADDRESS/_sim/faults -d '{"match":{"call":"sale","count":1},"fault":"accept_then_drop"}'

  "accept_then_drop"                              handled, then the connection is cut
  "drop_before_accept"                            the connection is cut, and nothing is handled
  {"deliver_late":{"ms":2000,"hold_ms":0}}        the connection is cut, the sale is handled later
  {"lookup_lag":{"ms":3000}}                      look-ups do not find the accepted sale yet
  {"slow":{"ms":5000}}                            answered later
  {"status":{"code":503,"accept":false}}          an HTTP status
  {"html":{"status":200,"accept":false}}          a page instead of JSON
  {"envelope":{"code":"999","accept":false}}      a result code
  {"refused_under_200":{"message":"..."}}         a refusal under HTTP status 200
  "expired_token"                                 the token expires now (gateway)
  "unwired_path"                                  the gateway has not wired the path (gateway)
  "blank_padded_keys"                             keys of the receipt end with a blank
  {"down_for":{"ms":10000,"status":503}}          the whole host is down for that time"#;

/// A faithful KRA eTIMS, with faults on demand.
#[derive(Parser)]
#[command(name = "etims-sim", version, after_help = FAULTS)]
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
