#![doc = include_str!("../README.md")]

mod args;
mod database_health;
mod lifecycle;
mod log_queue;
mod logs;
pub mod metrics;
mod operator;
mod ops;
mod queue_gauges;
mod ranges;
mod readiness;
mod settings;
pub mod tls;
mod units;

pub use args::{AmqpArgs, CredentialsArgs, DatabaseArgs, GraceArgs, LogArgs, LogFormat, OpsArgs};
pub use database_health::{DatabaseHealth, DatabaseProblem};
pub use lifecycle::{Boot, Context, run};
pub use operator::operator_name;
pub use queue_gauges::{QueueFigures, QueueGauges};
pub use ranges::{canonical_range, parse_range};
pub use readiness::Readiness;
pub use settings::{BadSetting, parse, parse_from, setting_name};
pub use units::{parse_duration, parse_since, parse_size};
