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

/// The HTTP request of a webhook.
#[derive(Clone)]
pub(crate) struct Request {
    /// The path below the ingress's address, without a leading slash.
    pub(crate) path: String,
    pub(crate) content_type: &'static str,
    pub(crate) signature: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// One message about a payment. It may be sent many times.
pub(crate) struct Message {
    pub(crate) provider: Provider,
    pub(crate) request: Request,
    pub(crate) meaning: Meaning,
    /// How often the gateway sends the message.
    pub(crate) copies: u32,
}

/// What the event of the message must be, and what it reports.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub(crate) struct Meaning {
    pub(crate) kind: String,
    pub(crate) delivery_key: String,
    #[serde(rename = "tells")]
    pub(crate) reports: Report,
}

/// What a message reports about its payment.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Report {
    /// The money of a check-out came.
    Paid,
    /// Money came, on a channel that names no check-out.
    Confirmed,
    /// A check-out failed, and no money came.
    Failed,
    /// The message leaves its payment pending.
    Unclear,
    /// This much money went back.
    Returned(#[serde(with = "rust_decimal::serde::str")] Decimal),
    /// The message says nothing about money.
    Nothing,
}

impl Message {
    pub(crate) fn new(
        provider: Provider,
        request: Request,
        kind: &str,
        delivery_key: String,
        reports: Report,
    ) -> Self {
        let meaning = Meaning {
            kind: kind.to_owned(),
            delivery_key,
            reports,
        };
        Self {
            provider,
            request,
            meaning,
            copies: 1,
        }
    }
}

/// Joins parts by colons, as the ledger does. A colon within a part is escaped.
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
    fn report_survives_serialization() {
        for report in [Report::Paid, Report::Returned(Decimal::new(1001, 2))] {
            let text = serde_json::to_string(&report).unwrap();
            assert_eq!(
                serde_json::from_str::<Report>(&text).unwrap(),
                report,
                "{text}"
            );
        }
    }
}
