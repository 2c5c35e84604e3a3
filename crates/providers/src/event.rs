//! What a webhook says, in the words of the domain.

use std::fmt;

use jiff::Timestamp;
use risiti_domain::{Money, PaymentMethod, Phone};

use crate::MoneyFacts;

/// One webhook, read.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// As `report_events.kind` shows it: ours for Daraja, the provider's own event name elsewhere.
    pub kind: String,
    /// Equal for the same message told again. Unique per merchant and provider, over all kinds. Never log it:
    /// a CheckoutRequestID ends in digits of the payer's phone.
    pub delivery_key: String,
    pub facts: MoneyFacts,
    pub body: EventBody,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventBody {
    Payment(PaymentReport),
    Reversal(ReversalReport),
    /// Kept as evidence; moves no payment.
    Other {
        reason: &'static str,
    },
}

/// A claim about money coming in.
#[derive(Clone, PartialEq, Eq)]
pub struct PaymentReport {
    /// The provider's own identifier of the money, verbatim: the same on every channel that tells of it.
    /// Always there when `outcome` is `Succeeded`.
    pub money_key: Option<String>,
    /// Daraja's CheckoutRequestID: ties a failure without receipt to a later success.
    pub checkout_id: Option<String>,
    /// A name the merchant gave the payment which is unique per payment (Paystack's reference). Daraja's
    /// `BillRefNumber` is none: every payer of one account types the same.
    pub reference: Option<String>,
    /// M-Pesa receipt, Paystack reference or Gumroad order number.
    pub receipt: Option<String>,
    pub outcome: Outcome,
    /// Major units. There and above zero when `outcome` is `Succeeded`.
    pub amount: Option<Money>,
    pub phone: Option<Phone>,
    pub occurred_at: Option<Timestamp>,
    /// The M-Pesa short code that received the money, where the message names it.
    pub short_code: Option<String>,
    pub method: PaymentMethod,
}

/// Reasons are texts of ours, chosen by code: a provider's own differ by channel for one code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Succeeded,
    Failed {
        reason: String,
    },
    /// Neither paid nor failed for certain: the payment stays pending and says why.
    Unknown {
        reason: String,
    },
}

/// A claim about money going back.
#[derive(Clone, PartialEq, Eq)]
pub struct ReversalReport {
    /// Equal for every message about the same reversal. While a Paystack refund is `Pending` its own
    /// reference is not known yet, so its key then differs from the later one.
    pub reversal_key: String,
    pub of_money_key: String,
    /// Major units, above zero. `None`: the whole sale.
    pub amount: Option<Money>,
    pub outcome: ReversalOutcome,
    pub occurred_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReversalOutcome {
    /// Asked for; nothing has moved.
    Pending,
    Done,
    /// Was asked for and did not happen.
    Failed,
    /// Had been done and was given back (a dispute that was won).
    Undone,
}

impl Event {
    pub(crate) fn payment(
        kind: impl Into<String>,
        delivery_key: String,
        report: PaymentReport,
    ) -> Self {
        let facts = MoneyFacts {
            amount: report.amount,
            outcome: match report.outcome {
                Outcome::Succeeded => "succeeded",
                Outcome::Failed { .. } => "failed",
                Outcome::Unknown { .. } => "unknown",
            },
            receipt: report.receipt.clone(),
        };
        Self {
            kind: kind.into(),
            delivery_key,
            facts,
            body: EventBody::Payment(report),
        }
    }

    pub(crate) fn reversal(
        kind: impl Into<String>,
        delivery_key: String,
        report: ReversalReport,
    ) -> Self {
        let facts = MoneyFacts {
            amount: report.amount,
            outcome: match report.outcome {
                ReversalOutcome::Pending => "reversal_pending",
                ReversalOutcome::Done => "reversal_done",
                ReversalOutcome::Failed => "reversal_failed",
                ReversalOutcome::Undone => "reversal_undone",
            },
            receipt: Some(report.of_money_key.clone()),
        };
        Self {
            kind: kind.into(),
            delivery_key,
            facts,
            body: EventBody::Reversal(report),
        }
    }

    pub(crate) fn other(
        kind: impl Into<String>,
        delivery_key: String,
        reason: &'static str,
    ) -> Self {
        let facts = MoneyFacts {
            amount: None,
            outcome: "none",
            receipt: None,
        };
        Self {
            kind: kind.into(),
            delivery_key,
            facts,
            body: EventBody::Other { reason },
        }
    }
}

impl Outcome {
    /// What a provider's "paid" amounts to: success only with a money key and an amount above zero
    /// (protocol A8, C7).
    pub(crate) fn of_paid(money_key: Option<&str>, amount: Option<Money>) -> Self {
        match (money_key, amount) {
            (None, _) => Self::unknown("paid, but the message has no receipt"),
            (_, None) => Self::unknown("paid, but the message has no amount"),
            (_, Some(amount)) if amount.is_zero() => {
                Self::unknown("paid, but the amount rounds to 0.00")
            }
            (Some(_), Some(_)) => Self::Succeeded,
        }
    }

    pub(crate) fn unknown(reason: impl Into<String>) -> Self {
        Self::Unknown {
            reason: reason.into(),
        }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("kind", &self.kind)
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for PaymentReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaymentReport")
            .field("money_key", &self.money_key)
            .field("outcome", &self.outcome)
            .field("amount", &self.amount)
            .field("occurred_at", &self.occurred_at)
            .field("short_code", &self.short_code)
            .field("method", &self.method)
            .finish_non_exhaustive()
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

#[cfg(test)]
mod tests {
    use super::*;
    use risiti_domain::{Currency, parse_amount};

    #[test]
    fn paid_is_success_only_with_a_key_and_money() {
        let money = |text| Money::new(parse_amount(text).unwrap(), Currency::KES).unwrap();
        assert_eq!(
            Outcome::of_paid(Some("UIS4000001"), Some(money("0.005"))),
            Outcome::Succeeded
        );
        for (key, amount) in [
            (None, Some(money("1"))),
            (Some("UIS4000001"), None),
            (Some("UIS4000001"), Some(money("0.004"))),
            (None, None),
        ] {
            assert!(matches!(
                Outcome::of_paid(key, amount),
                Outcome::Unknown { .. }
            ));
        }
    }

    #[test]
    fn debug_shows_no_delivery_key_checkout_id_or_phone() {
        let report = PaymentReport {
            money_key: None,
            checkout_id: Some("ws_CO_708374149".to_owned()),
            reference: None,
            receipt: None,
            outcome: Outcome::unknown("because"),
            amount: None,
            phone: Phone::parse("254708374149"),
            occurred_at: None,
            short_code: None,
            method: PaymentMethod::MobileMoney,
        };
        let shown = format!(
            "{:?}",
            Event::payment("stk", "ws_CO_708374149:4999".to_owned(), report)
        );
        assert!(shown.contains("because"));
        assert!(!shown.contains("708374149"), "{shown}");
    }
}
