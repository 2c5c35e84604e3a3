#![doc = include_str!("../README.md")]

mod error;
mod migrate;
mod pool;
mod statements;

pub use error::{LedgerError, Refusal};
pub use migrate::{Report, migrate};
pub use pool::{DatabaseSettings, Ledger};
