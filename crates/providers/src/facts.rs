//! The money facts of an event: what makes two deliveries under one key contradict each other.

use risiti_domain::Money;
use sha2::{Digest, Sha256};

/// Amount, currency, outcome and receipt (protocol A3). Nothing else of a body takes part: Gumroad's
/// retries add a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoneyFacts {
    pub amount: Option<Money>,
    /// `succeeded`, `failed`, `unknown`; `reversal_…`; `none` where no money is told of.
    pub outcome: &'static str,
    /// The receipt of a payment, or the money key that a reversal undoes.
    pub receipt: Option<String>,
}

impl MoneyFacts {
    /// SHA-256 over labelled, length-prefixed fields: stable over releases, it is stored.
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(b"risiti money facts 1\n");
        let amount = self.amount.map(|money| money.amount().to_string());
        let currency = self.amount.map(|money| money.currency().to_string());
        for (label, value) in [
            ("amount", amount.as_deref()),
            ("currency", currency.as_deref()),
            ("outcome", Some(self.outcome)),
            ("receipt", self.receipt.as_deref()),
        ] {
            match value {
                Some(value) => hash.update(format!("{label}:{}:{value}\n", value.len())),
                None => hash.update(format!("{label}:-\n")),
            }
        }
        hash.finalize().into()
    }
}
