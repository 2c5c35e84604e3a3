//! The simulator as its clients meet it: real HTTP against a real server.

#![expect(clippy::unwrap_used, reason = "it is how a test fails")]

mod audit;
mod auth;
mod faults;
mod journal;
mod numbering;
mod program;
mod refusals;
mod sales;
mod stock;
mod support;
mod tls;
