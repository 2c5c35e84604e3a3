//! One generated payment: its messages, and what must be true after them.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::message::{Meaning, Message, Provider};

pub(crate) struct GeneratedPayment {
    pub(crate) expected: ExpectedPayment,
    pub(crate) messages: Vec<Message>,
}

/// The payment that must exist once all its messages have arrived.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub(crate) struct ExpectedPayment {
    /// The number of the payment in its storm.
    #[serde(rename = "story")]
    pub(crate) number: u64,
    pub(crate) merchant: String,
    pub(crate) provider: Provider,
    pub(crate) money_key: String,
    pub(crate) checkout_id: Option<String>,
    pub(crate) receipt: String,
    #[serde(with = "rust_decimal::serde::str")]
    pub(crate) amount: Decimal,
    pub(crate) currency: String,
    /// The phones that may be stored. Which of them is stored depends on the message that arrives
    /// first.
    pub(crate) phones: Vec<Option<String>>,
    /// Whether the payment owes a tax receipt once its money has come.
    pub(crate) owes: bool,
    pub(crate) messages: Vec<Meaning>,
}
