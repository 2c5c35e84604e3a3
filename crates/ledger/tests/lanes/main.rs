//! Lanes in a real database: leases, guarded writes, adoption, wake-ups, the cap, the gauges.
#![expect(clippy::unwrap_used, reason = "tests")]

mod adoption;
mod failures;
mod fixture;
mod gauges;
mod leases;
mod look_ups;
mod next_send;
mod shares;
mod wake_ups;
