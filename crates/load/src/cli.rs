//! The command line.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use url::Url;

/// Sends storms of webhooks to an installation of Risiti, and audits every id afterwards.
///
/// The order is: `seed` makes merchants, `trouble` makes the tax authority's simulator misbehave,
/// `storm` sends webhooks, `audit` says whether the books balance.
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
    /// Make the simulator misbehave by a fault script, or clear its faults
    Trouble(TroubleArgs),
    /// Send real-shaped webhooks, repeated and out of order, some of them forged
    Storm(StormArgs),
    /// Wait until what was sent is recorded and filed, or given up
    Settle(SettleArgs),
    /// Compare what was sent with the reporting views and the simulator; exit code 0 only if the
    /// books balance
    Audit(AuditArgs),
}

/// Where the simulated tax authorities are.
#[derive(Args)]
pub(crate) struct SimArgs {
    /// The eTIMS simulator
    #[arg(long, value_name = "URL")]
    pub(crate) sim: Url,
    /// A simulator of the gateway dialect; some merchants file there
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
    /// How many merchants to make, 4 to 90
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(4..=90))]
    pub(crate) merchants: u32,
    /// File for what the other commands need, webhook secrets included (mode 0600)
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

#[derive(Args)]
pub(crate) struct TroubleArgs {
    #[arg(long, value_name = "FILE")]
    pub(crate) fleet: PathBuf,
    #[command(flatten)]
    pub(crate) sims: SimArgs,
    /// Decides which calls are hit
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Clear all faults
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
    /// Send at a fixed rate, such as 100/s: each request when it is due, whether or not others were
    /// answered
    #[arg(long, value_parser = per_second, value_name = "RATE", requires = "duration")]
    pub(crate) rate: Option<NonZeroU32>,
    /// How long to send at that rate
    #[arg(long, value_parser = seconds, value_name = "DURATION", requires = "rate")]
    pub(crate) duration: Option<Duration>,
    /// The same seed makes the same payments, formats, repeats and order
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Most requests in flight; at a fixed rate, a request due beyond them is skipped and counted
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(crate) concurrency: u32,
    /// File for what was sent, what it means, and how it was answered
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
    /// The risiti-replay program, which lists the dead letters; without it they are not checked
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
        .map_err(|_| "must be a duration such as 120s or 2m".to_owned())?;
    match unit {
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        _ => Err("must be a duration such as 120s or 2m".to_owned()),
    }
}

fn per_second(text: &str) -> Result<NonZeroU32, String> {
    let number = text
        .strip_suffix("/s")
        .and_then(|number| number.parse().ok());
    number.ok_or_else(|| "must be a rate such as 100/s".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn command_line_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(seconds("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(seconds("2m"), Ok(Duration::from_secs(120)));
        for wrong in ["", "90", "s", "1h", "1.5s"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rates_need_a_unit() {
        assert_eq!(per_second("100/s").map(NonZeroU32::get), Ok(100));
        for wrong in ["", "100", "/s", "0/s", "1.5/s", "100/m"] {
            assert!(per_second(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rate_needs_a_duration_and_excludes_payments() {
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
        assert!(storm(&[]));
        assert!(storm(&["--payments", "9"]));
        assert!(storm(&["--rate", "9/s", "--duration", "1s"]));
        assert!(!storm(&["--rate", "9/s"]));
        assert!(!storm(&["--duration", "1s"]));
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
