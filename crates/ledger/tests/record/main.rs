//! Recording events against a real database.
#![expect(clippy::unwrap_used, reason = "a test")]

mod any_order;
mod cases;
mod decisions;
mod devices;
mod fixture;
mod income;
mod payments;
mod provider_bodies;
mod races;
mod refunds;
#[path = "../test_device/mod.rs"]
mod test_device;
mod two_merchants;
mod without_bodies;
