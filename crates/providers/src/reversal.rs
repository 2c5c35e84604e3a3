//! Money that goes back, as a webhook reports it.

use std::fmt;

use jiff::Timestamp;
use risiti_domain::Money;

/// A claim that money went back, or was meant to.
#[derive(Clone, PartialEq, Eq)]
pub struct ReversalReport {
    /// Names the reversal. Messages about one reversal share this key or one of `other_keys`.
    pub reversal_key: String,
    /// Further keys of the same reversal. A refund of Paystack has a reference only later, so its
    /// id names it too, and one that settles a dispute is that dispute's reversal.
    pub other_keys: Vec<String>,
    /// The money key of the payment that is reversed.
    pub of_money_key: String,
    /// Major units, above zero. `None` means the whole sale.
    pub amount: Option<Money>,
    pub outcome: ReversalOutcome,
    pub occurred_at: Option<Timestamp>,
}

/// What a key of a reversal names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReversalKeyKind {
    Refund,
    Dispute,
    Other,
}

/// How far a reversal has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReversalOutcome {
    /// Requested. No money has moved yet.
    Pending,
    Done,
    /// Part of the sale went back, and the message does not say how much.
    Unstated,
    /// Requested, and it did not happen.
    Failed,
    /// Done once, and the money came back to the merchant (a dispute that was won).
    Undone,
}

impl ReversalReport {
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.reversal_key)
            .chain(&self.other_keys)
            .map(String::as_str)
    }
}

impl ReversalKeyKind {
    pub fn of(reversal_key: &str) -> Self {
        match reversal_key.split_once(':') {
            Some(("refund", _)) => Self::Refund,
            Some(("dispute", _)) => Self::Dispute,
            _ => Self::Other,
        }
    }
}

impl fmt::Debug for ReversalReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReversalReport")
            .field("of_money_key", &self.of_money_key)
            .field("outcome", &self.outcome)
            .field("amount", &self.amount)
            .finish_non_exhaustive()
    }
}
