//! The crate from outside: bodies byte for byte, and calls over real HTTP.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod bodies;
mod connections;
mod look_ups;
mod set_up;
mod support;
mod tokens;
mod unanswered;
