//! The simulator as its clients meet it: real HTTP against a real server.

#![expect(clippy::unwrap_used, reason = "it is how a test fails")]

mod audit;
mod auth;
mod bodies;
mod branch_data;
mod call_faults;
mod certification;
mod credit_notes;
mod fault_rules;
mod faults;
mod fixture;
mod initialisations;
mod items;
mod journal;
mod numbering;
mod program;
mod refusals;
mod sales;
mod stock;
mod supplies;
mod tls;
