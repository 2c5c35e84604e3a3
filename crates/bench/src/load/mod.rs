//! A load generator that costs little beside what it measures: STK callbacks over HTTP/1.1
//! connections that stay open.
//!
//! The closed loop sends the next webhook of a connection when the last one is answered, which
//! finds the highest rate. The open loop sends at a constant rate and measures from the instant at
//! which a webhook was due, so a stall counts for all that came due meanwhile.

mod answer;
mod closed;
mod connection;
mod open;
mod order;
mod tally;
#[cfg(test)]
mod tests;
mod webhook;

pub(crate) use closed::Closed;
pub(crate) use open::Open;
pub(crate) use order::{Numbers, Order};
pub(crate) use tally::Tally;
pub(crate) use webhook::{Target, number_in, number_of, receipt};
