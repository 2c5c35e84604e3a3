#![doc = include_str!("../README.md")]

mod dead_letters;
mod error;
mod migrate;
mod pool;
mod statements;
mod suspects;
mod tokens;

pub use dead_letters::{MessageDeadLetter, invoice_dead_letter_id};
pub use error::{LedgerError, Refusal};
pub use migrate::{Report, migrate};
pub use pool::{DatabaseSettings, Ledger};
