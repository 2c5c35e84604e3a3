//! The settings of this program: flags and their variables.

use std::time::Duration;

use risiti_service::{AmqpArgs, DatabaseArgs, GraceArgs, LogArgs, OpsArgs, parse_duration};

/// Records payment webhooks from the payments queue in Postgres, and wakes the lanes that file
/// their receipts.
#[derive(clap::Parser, Clone, Debug)]
#[command(name = "risiti-ledger-worker", version)]
pub struct Settings {
    #[command(flatten)]
    pub database: DatabaseArgs,
    #[command(flatten)]
    pub amqp: AmqpArgs,
    #[command(flatten)]
    pub batches: BatchArgs,
    #[command(flatten)]
    pub ops: OpsArgs,
    #[command(flatten)]
    pub grace: GraceArgs,
    #[command(flatten)]
    pub log: LogArgs,
}

#[derive(clap::Args, Clone, Debug)]
pub struct BatchArgs {
    /// Most messages recorded in one transaction
    #[arg(long, env = "RISITI_BATCH_SIZE", default_value_t = 100, value_name = "MESSAGES",
          value_parser = clap::value_parser!(u16).range(1..=500))]
    pub batch_size: u16,

    /// Most messages held at once; at least the batch size
    #[arg(long, env = "RISITI_PREFETCH", default_value_t = 300, value_name = "MESSAGES",
          value_parser = clap::value_parser!(u16).range(1..=2000))]
    pub prefetch: u16,

    /// How long a batch that is not full waits for more (250ms, 2s, 15m, 24h)
    #[arg(long, env = "RISITI_BATCH_WAIT", default_value = "5ms", value_parser = parse_duration, value_name = "DURATION")]
    pub batch_wait: Duration,
}
