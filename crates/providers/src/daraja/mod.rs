//! Safaricom's Daraja (M-Pesa). Its webhooks are unsigned, are sent once, and have five shapes of
//! body.

mod c2b;
mod code;
mod key_prefix;
mod pairs;
mod party;
mod result;
mod status;
mod stk;
mod timeout;

pub(crate) use c2b::{parse_confirmation, parse_validation};
pub(crate) use result::parse_result;
pub(crate) use stk::parse_stk;
pub(crate) use timeout::{parse_timeout, redact};
