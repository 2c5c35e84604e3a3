//! The crate from outside: bodies byte for byte, calls over real HTTP, and the simulator's own
//! reading of KRA's rules.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod bodies;
mod connections;
mod look_ups;
mod set_up;
mod simulated;
mod support;
mod tokens;
mod unanswered;
