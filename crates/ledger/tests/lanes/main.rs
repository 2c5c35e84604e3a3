//! Lanes against a real database: leases, guarded writes, adoption, the cap.
#![expect(clippy::unwrap_used, reason = "tests")]

mod adopting;
mod kit;
mod leases;
mod shares;
mod waking;
