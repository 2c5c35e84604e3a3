//! Paystack: signed, retried for 72 hours.

mod signature;

pub use signature::verify;
