//! The built program over a real database and a real broker.
#![expect(clippy::unwrap_used, reason = "a test")]

mod discard;
mod filed;
mod lanes;
mod losses;
mod run;
mod stage;
mod terminal;
