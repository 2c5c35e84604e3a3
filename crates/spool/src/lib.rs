#![doc = include_str!("../README.md")]

mod disk;
mod error;
mod spool;
mod status;
mod store;
mod writer;

pub use error::{OpenError, SpoolError};
pub use spool::{Entry, Spool};
pub use status::{Condition, Status};

#[cfg(test)]
mod tests;
