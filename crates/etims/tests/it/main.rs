//! Tests of the crate from outside: bodies byte for byte, calls over real HTTP, and calls to the
//! simulator, which has its own reading of KRA's rules.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod access_tokens;
mod bodies;
mod connections;
mod fake_host;
mod fixture;
mod initialisation;
mod look_ups;
mod simulated;
mod unanswered;
