//! Recording events against a real database.
#![expect(clippy::unwrap_used, reason = "a test")]

mod apart;
mod devices;
mod fixtures;
mod kit;
mod orders;
mod races;
mod refunds;
mod stories;
