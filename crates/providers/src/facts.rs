//! The money facts of an event. Two deliveries under one key contradict each other when these
//! differ.

use std::fmt::Write as _;

use risiti_domain::{Currency, Money};
use sha2::{Digest, Sha256};

/// The text that is hashed is usually no longer.
const USUAL_BYTES: usize = 192;

/// Amount, currency, outcome and receipt (protocol A3). No other field is compared, because
/// Gumroad's retries add one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoneyFacts {
    /// `None` of a failed attempt, because it moved no money.
    pub amount: Option<Money>,
    /// `succeeded`, `failed` or `unknown` for a payment, `reversal_…` for a reversal, else `none`.
    pub outcome: &'static str,
    /// The receipt of a payment, or the money key of the payment that a reversal undoes.
    pub receipt: Option<String>,
}

impl MoneyFacts {
    /// SHA-256 over labelled, length-prefixed fields. It is stored, so it must stay the same over
    /// releases.
    pub fn digest(&self) -> [u8; 32] {
        let amount = self.amount.map(|money| money.amount().to_string());
        let currency = self.amount.as_ref().map(|money| money.currency());

        let mut text = String::with_capacity(USUAL_BYTES);
        text.push_str("risiti money facts 1\n");
        for (label, value) in [
            ("amount", amount.as_deref()),
            ("currency", currency.as_ref().map(Currency::as_str)),
            ("outcome", Some(self.outcome)),
            ("receipt", self.receipt.as_deref()),
        ] {
            let written = match value {
                Some(value) => writeln!(text, "{label}:{}:{value}", value.len()),
                None => writeln!(text, "{label}:-"),
            };
            written.expect("writing to a string does not fail");
        }
        Sha256::digest(text).into()
    }
}

#[cfg(test)]
mod tests {
    use risiti_domain::{Currency, parse_amount};

    use super::*;

    fn facts() -> MoneyFacts {
        let amount = Money::new(parse_amount("1500").unwrap(), Currency::KES).unwrap();
        MoneyFacts {
            amount: Some(amount),
            outcome: "succeeded",
            receipt: Some("UIS4000001".to_owned()),
        }
    }

    #[test]
    fn every_fact_changes_the_digest() {
        let dollars = Money::new(parse_amount("1500").unwrap(), Currency::USD).unwrap();
        let more = Money::new(parse_amount("1500.01").unwrap(), Currency::KES).unwrap();
        let mut digests = vec![
            facts().digest(),
            MoneyFacts {
                amount: None,
                ..facts()
            }
            .digest(),
            MoneyFacts {
                amount: Some(dollars),
                ..facts()
            }
            .digest(),
            MoneyFacts {
                amount: Some(more),
                ..facts()
            }
            .digest(),
            MoneyFacts {
                outcome: "failed",
                ..facts()
            }
            .digest(),
            MoneyFacts {
                receipt: None,
                ..facts()
            }
            .digest(),
            MoneyFacts {
                receipt: Some("-".to_owned()),
                ..facts()
            }
            .digest(),
        ];
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), 7);
    }

    #[test]
    fn digest_stays_the_same_over_releases() {
        let text = "risiti money facts 1\namount:7:1500.00\ncurrency:3:KES\noutcome:9:succeeded\nreceipt:10:UIS4000001\n";
        assert_eq!(facts().digest(), <[u8; 32]>::from(Sha256::digest(text)));
    }
}
