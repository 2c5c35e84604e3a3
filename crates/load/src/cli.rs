//! The command line.

use std::num::NonZeroU32;
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
    #[arg(long, default_value_t = 3000, conflicts_with = "rate")]
    pub(crate) payments: u64,
    /// Send by the clock, such as 100/s: each request when it is due, whether or not others were answered
    #[arg(long, value_parser = per_second, value_name = "RATE", requires = "duration")]
    pub(crate) rate: Option<NonZeroU32>,
    /// How long to send at that rate
    #[arg(long, value_parser = seconds, value_name = "DURATION", requires = "rate")]
    pub(crate) duration: Option<Duration>,
    /// The same seed tells the same payments, spelled and repeated the same way
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Requests in flight; at a rate, what is due beyond them is not sent, and counted
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
    let (number, unit) = text.split_at(
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len()),
    );
    let number: u64 = number
        .parse()
        .map_err(|_| "is written like 120s or 2m".to_owned())?;
    match unit {
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        _ => Err("is written like 120s or 2m".to_owned()),
    }
}

fn per_second(text: &str) -> Result<NonZeroU32, String> {
    let number = text
        .strip_suffix("/s")
        .and_then(|number| number.parse().ok());
    number.ok_or_else(|| "is written like 100/s".to_owned())
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
    #[test]
    fn rates() {
        assert_eq!(per_second("100/s").map(NonZeroU32::get), Ok(100));
        for wrong in ["", "100", "/s", "0/s", "1.5/s", "100/m"] {
            assert!(per_second(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_rate_and_a_duration_come_together_and_without_a_number_of_payments() {
        let storm = |more: &[&str]| {
            let line = [
                "risiti-load",
                "storm",
                "--fleet",
                "f",
                "--ingress",
                "http://a",
                "--record",
                "r",
            ];
            Cli::try_parse_from(line.iter().chain(more)).is_ok()
        };
        assert!(
            storm(&[])
                && storm(&["--payments", "9"])
                && storm(&["--rate", "9/s", "--duration", "1s"])
        );
        assert!(!storm(&["--rate", "9/s"]) && !storm(&["--duration", "1s"]));
        assert!(!storm(&[
            "--rate",
            "9/s",
            "--duration",
            "1s",
            "--payments",
            "9"
        ]));
    }
}
