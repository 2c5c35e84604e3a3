//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use url::Url;

/// Storms of webhooks against an installation of Risiti, and the audit that checks every id afterwards.
///
/// In order: `seed` makes merchants, `trouble` makes the tax authority's simulator misbehave, `storm` sends,
/// `audit` says whether the books balance.
#[derive(Parser)]
#[command(name = "risiti-load", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make merchants with gateways and tax devices, and register the devices at the simulator
    Seed(SeedArgs),
    /// Make the simulator misbehave as on a bad afternoon, or stop it
    Trouble(TroubleArgs),
    /// Send webhooks, real-shaped, repeated, out of order, some of them forged
    Storm(StormArgs),
    /// Wait until what was sent is recorded and filed, or given up
    Settle(SettleArgs),
    /// Compare what was sent with the reporting views and the simulator; exit code 0 only if the books balance
    Audit(AuditArgs),
}

/// Where the tax authority is.
#[derive(Args)]
pub(crate) struct SimArgs {
    /// The eTIMS simulator
    #[arg(long, value_name = "URL")]
    pub(crate) sim: Url,
    /// One that speaks the gateway's dialect; some merchants file there
    #[arg(long, value_name = "URL")]
    pub(crate) gateway_sim: Option<Url>,
}

#[derive(Args)]
pub(crate) struct SeedArgs {
    /// The risiti-admin program; it takes its settings from the environment
    #[arg(long, value_name = "PATH")]
    pub(crate) admin: PathBuf,
    #[command(flatten)]
    pub(crate) sims: SimArgs,
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(4..=90))]
    pub(crate) merchants: u32,
    /// Where to write what the other commands need, webhook secrets included (mode 0600)
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

#[derive(Args)]
pub(crate) struct TroubleArgs {
    #[arg(long, value_name = "FILE")]
    pub(crate) fleet: PathBuf,
    #[command(flatten)]
    pub(crate) sims: SimArgs,
    /// Which calls are hit
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Take all trouble away again
    #[arg(long)]
    pub(crate) clear: bool,
}

#[derive(Args)]
pub(crate) struct StormArgs {
    #[arg(long, value_name = "FILE")]
    pub(crate) fleet: PathBuf,
    /// Ingress replicas, separated by commas
    #[arg(long, value_name = "URL", value_delimiter = ',', required = true)]
    pub(crate) ingress: Vec<Url>,
    #[arg(long, default_value_t = 3000)]
    pub(crate) payments: u64,
    /// The same seed tells the same payments, spelled and repeated the same way
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Requests in flight
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(crate) concurrency: u32,
    /// Where to write what was sent, what it means, and how it was answered
    #[arg(long, value_name = "FILE")]
    pub(crate) record: PathBuf,
}

#[derive(Args)]
pub(crate) struct SettleArgs {
    #[arg(long, value_name = "FILE")]
    pub(crate) fleet: PathBuf,
    #[arg(long, value_name = "FILE")]
    pub(crate) record: PathBuf,
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub(crate) database_url: String,
    /// How long to wait for the work to end
    #[arg(long, default_value = "120s", value_parser = seconds, value_name = "DURATION")]
    pub(crate) wait: Duration,
}

#[derive(Args)]
pub(crate) struct AuditArgs {
    #[command(flatten)]
    pub(crate) settle: SettleArgs,
    #[command(flatten)]
    pub(crate) sims: SimArgs,
    /// The risiti-replay program, asked for the dead letters; without it they are not checked
    #[arg(long, value_name = "PATH")]
    pub(crate) replay: Option<PathBuf>,
    /// Print one JSON object in place of the table
    #[arg(long)]
    pub(crate) json: bool,
    /// Write that JSON object to a file as well
    #[arg(long, value_name = "FILE")]
    pub(crate) summary: Option<PathBuf>,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let number: u64 = number.parse().map_err(|_| "is written like 120s or 2m".to_owned())?;
    match unit {
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        _ => Err("is written like 120s or 2m".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations() {
        assert_eq!(seconds("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(seconds("2m"), Ok(Duration::from_secs(120)));
        for wrong in ["", "90", "s", "1h", "1.5s"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
