//! The settings of the program.

use std::time::Duration;

use clap::{Args, Parser};
use risiti_service::{
    AmqpArgs, BadSetting, CredentialsArgs, DatabaseArgs, GraceArgs, LogArgs, OpsArgs,
    parse_duration,
};

/// Files tax invoices with KRA eTIMS, one lane per device.
#[derive(Parser, Clone, Debug)]
#[command(name = "risiti-etims-worker", version)]
pub struct Settings {
    #[command(flatten)]
    pub log: LogArgs,
    #[command(flatten)]
    pub ops: OpsArgs,
    #[command(flatten)]
    pub grace: GraceArgs,
    #[command(flatten)]
    pub database: DatabaseArgs,
    #[command(flatten)]
    pub amqp: AmqpArgs,
    #[command(flatten)]
    pub credentials: CredentialsArgs,
    #[command(flatten)]
    pub lanes: LaneArgs,
}

#[derive(Args, Clone, Debug)]
pub struct LaneArgs {
    /// eTIMS calls in flight per KRA host, over all etims-workers together (1 to 200)
    #[arg(long, env = "RISITI_CONCURRENCY", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200), value_name = "CALLS")]
    pub concurrency: u32,

    /// Longest eTIMS call, from connecting to the last byte (250ms, 2s, 15m)
    #[arg(long, env = "RISITI_ETIMS_TIMEOUT", default_value = "60s", value_parser = parse_duration, value_name = "DURATION")]
    pub etims_timeout: Duration,

    /// Longest making of a connection to eTIMS (250ms, 2s, 15m)
    #[arg(long, env = "RISITI_ETIMS_CONNECT_TIMEOUT", default_value = "10s", value_parser = parse_duration, value_name = "DURATION")]
    pub etims_connect_timeout: Duration,

    /// How long an idle connection to eTIMS is kept (250ms, 2s, 15m)
    #[arg(long, env = "RISITI_ETIMS_IDLE_TIMEOUT", default_value = "30s", value_parser = parse_duration, value_name = "DURATION")]
    pub etims_idle_timeout: Duration,

    /// First pause of a lane that failed, before jitter; it doubles from there (250ms, 2s, 15m)
    #[arg(long, env = "RISITI_RETRY_FIRST", default_value = "500ms", value_parser = parse_duration, value_name = "DURATION")]
    pub retry_first: Duration,

    /// Longest pause of a lane or of a breaker (250ms, 2s, 15m)
    #[arg(long, env = "RISITI_RETRY_MAX", default_value = "15m", value_parser = parse_duration, value_name = "DURATION")]
    pub retry_max: Duration,

    /// First pause of an open breaker (250ms, 2s, 15m)
    #[arg(long, env = "RISITI_BREAKER_PAUSE", default_value = "30s", value_parser = parse_duration, value_name = "DURATION")]
    pub breaker_pause: Duration,

    /// Failures of a host in a row that open its breaker
    #[arg(long, env = "RISITI_BREAKER_FAILURES", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..), value_name = "CALLS")]
    pub breaker_failures: u32,

    /// How often to look for lanes with work that nobody is on (250ms, 2s, 15m)
    #[arg(long, env = "RISITI_WAKE_INTERVAL", default_value = "1s", value_parser = parse_duration, value_name = "DURATION")]
    pub wake_interval: Duration,

    /// Strikes before an invoice is given up as exhausted
    #[arg(long, env = "RISITI_STRIKES_MAX", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..), value_name = "STRIKES")]
    pub strikes_max: u32,
}

impl LaneArgs {
    /// Checks the relations between settings.
    pub(crate) fn check(&self) -> Result<(), BadSetting> {
        let positive = [
            ("--etims-timeout (RISITI_ETIMS_TIMEOUT)", self.etims_timeout),
            ("--wake-interval (RISITI_WAKE_INTERVAL)", self.wake_interval),
            ("--breaker-pause (RISITI_BREAKER_PAUSE)", self.breaker_pause),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, duration)| duration.is_zero()) {
            return Err(BadSetting::new(*name, "must be greater than zero"));
        }
        // A wake-up is held for a call and a turn, and no delivery may be held over five minutes
        // (protocol B3).
        if self.etims_timeout > Duration::from_secs(240) {
            return Err(BadSetting::new(
                "--etims-timeout (RISITI_ETIMS_TIMEOUT)",
                "must be at most 4m",
            ));
        }
        Ok(())
    }
}
