//! Tests against the real broker. Each test has a namespace of its own.
#![expect(
    clippy::unwrap_used,
    reason = "a test that unwraps says enough by failing there"
)]

mod closing;
mod consume;
mod fixture;
mod publish;
mod queue_watch;
mod topology;
