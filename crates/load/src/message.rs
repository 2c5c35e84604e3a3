//! A webhook as a gateway sends it, and what it means for a payment.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Provider {
    Daraja,
    Paystack,
    Gumroad,
}

impl Provider {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Daraja => "daraja",
            Self::Paystack => "paystack",
            Self::Gumroad => "gumroad",
        }
    }
}

/// The request itself.
#[derive(Clone)]
pub(crate) struct Request {
    /// Below the ingress' address, without a leading slash.
    pub(crate) path: String,
    pub(crate) content_type: &'static str,
    pub(crate) signature: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// One message of a payment's story. It may be sent many times.
pub(crate) struct Message {
    pub(crate) provider: Provider,
    pub(crate) request: Request,
    pub(crate) meaning: Meaning,
    pub(crate) copies: u32,
}

/// What must be true when the message arrived.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub(crate) struct Meaning {
    pub(crate) kind: String,
    pub(crate) delivery_key: String,
    pub(crate) tells: Tells,
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Tells {
    /// Of a check-out: money came.
    Paid,
    /// The same money on a channel that names no check-out.
    Confirmed,
    /// Of a check-out: no money came.
    Failed,
    /// Something that leaves a payment pending.
    Unclear,
    /// So much money went back.
    Returned(#[serde(with = "rust_decimal::serde::str")] Decimal),
    /// No word about money.
    Nothing,
}

impl Message {
    pub(crate) fn new(
        provider: Provider,
        request: Request,
        kind: &str,
        delivery_key: String,
        tells: Tells,
    ) -> Self {
        let meaning = Meaning {
            kind: kind.to_owned(),
            delivery_key,
            tells,
        };
        Self {
            provider,
            request,
            meaning,
            copies: 1,
        }
    }
}

/// Parts joined by colons as the ledger joins them: a colon within a part is escaped.
pub(crate) fn key(parts: &[&str]) -> String {
    let parts: Vec<String> = parts
        .iter()
        .map(|part| part.replace('%', "%25").replace(':', "%3A"))
        .collect();
    parts.join(":")
}

pub(crate) const JSON: &str = "application/json;charset=UTF-8";
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_message_tells_survives_the_record() {
        for tells in [Tells::Paid, Tells::Returned(Decimal::new(1001, 2))] {
            let text = serde_json::to_string(&tells).unwrap();
            assert_eq!(
                serde_json::from_str::<Tells>(&text).unwrap(),
                tells,
                "{text}"
            );
        }
    }
}
