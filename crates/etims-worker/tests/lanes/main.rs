//! The real program against the real servers and a simulated tax authority.
#![expect(clippy::unwrap_used, reason = "tests")]

mod filing;
mod stage;
