//! Safaricom's Daraja (M-Pesa): unsigned, sent once, five shapes of body.

mod c2b;
mod code;
mod pairs;
mod result;
mod status;
mod stk;
mod timeout;

pub(crate) use c2b::{confirmation, validation};
pub(crate) use result::result;
pub(crate) use stk::stk;
pub(crate) use timeout::{redact, timeout};

/// First parts of delivery keys that are not STK's, whose own begin with the checkout id.
const KEY_PREFIXES: [&str; 7] = [
    c2b::VALIDATION_KEY,
    c2b::CONFIRMATION_KEY,
    result::B2C,
    result::REVERSAL,
    result::STATUS,
    result::OTHER,
    timeout::KEY,
];
