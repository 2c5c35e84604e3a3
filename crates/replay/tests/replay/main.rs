//! Tests of the built program with a real database and a real broker.
#![expect(clippy::unwrap_used, reason = "a test")]

mod audit_of_all;
mod command_output;
mod discard;
mod discard_waiting;
mod fixture;
mod interruptions;
mod lanes;
mod lanes_contradiction;
mod lanes_resolve;
mod lanes_resolve_through;
mod lanes_selection;
mod last_answer;
mod list;
mod payments;
mod payments_shown;
mod refused_then_filed;
mod run;
mod run_report;
mod set_aside;
mod show;
mod terminal;
