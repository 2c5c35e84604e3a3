//! The real program against the real servers and a simulated tax authority.
#![expect(clippy::unwrap_used, reason = "tests")]

mod cap;
mod filing;
mod frozen;
mod lost;
mod outcomes;
mod owners;
mod servers;
mod sick;
mod spread;
mod stage;
mod tokens;
