//! Recording events against a real database.

mod devices;
mod kit;
mod orders;
mod races;
mod refunds;
mod stories;
