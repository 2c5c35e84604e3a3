//! What a webhook reports, in the terms of the domain.

use std::fmt;

use jiff::Timestamp;
use risiti_domain::{EventId, Money, PaymentMethod, Phone};

use crate::MoneyFacts;
use crate::reversal::{ReversalOutcome, ReversalReport};

/// What one webhook reports.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// The kind that `report_events.kind` shows. For Daraja it is our own name, else the provider's
    /// name of the event.
    pub kind: String,
    /// Equal for every delivery of the same message. It is unique per merchant and provider, over
    /// all kinds. Never log it, because a CheckoutRequestID ends in digits of the payer's phone.
    pub delivery_key: String,
    pub facts: MoneyFacts,
    pub body: EventBody,
}

/// Which claim the event makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventBody {
    Payment(PaymentReport),
    Reversal(ReversalReport),
    /// Money that came in and has gone back since, told in one message.
    PaidAndReversed(PaymentReport, ReversalReport),
    /// Kept as evidence. It changes no payment.
    Other {
        reason: &'static str,
    },
}

/// A claim that money came in, or was meant to.
#[derive(Clone, PartialEq, Eq)]
pub struct PaymentReport {
    /// The provider's own identifier of the money, verbatim. It is the same on every channel that
    /// reports it, and is always present when `outcome` is `Succeeded`.
    pub money_key: Option<String>,
    /// Daraja's CheckoutRequestID. It links a failure without receipt to a later success.
    pub checkout_id: Option<String>,
    /// The merchant's own name of the payment, unique per payment (Paystack's reference). Daraja's
    /// `BillRefNumber` is not one, because every payer of an account types the same.
    pub reference: Option<String>,
    /// M-Pesa receipt, Paystack reference or Gumroad order number.
    pub receipt: Option<String>,
    pub outcome: Outcome,
    /// Major units. Present and above zero when `outcome` is `Succeeded`. Of a failed attempt it is
    /// what was to be paid.
    pub amount: Option<Money>,
    pub phone: Option<Phone>,
    pub occurred_at: Option<Timestamp>,
    /// The M-Pesa short code that received the money, where the message names it.
    pub short_code: Option<String>,
    /// The organisation that paid, where the message says that it was one. It may be the merchant.
    pub paid_by: Option<Organisation>,
    pub method: PaymentMethod,
}

/// An organisation that paid over M-Pesa.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Organisation {
    ShortCode(String),
    Unnamed,
}

/// What became of the payment. The reasons are our own texts, chosen by code, because a provider's
/// texts for one code differ by channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Succeeded,
    Failed {
        reason: String,
    },
    /// Neither paid nor failed for certain. The payment stays pending and shows the reason.
    Unknown {
        reason: String,
    },
    /// The message says that it was paid, and so does one that moves no money. A person has to
    /// confirm it.
    Unconfirmed {
        reason: String,
    },
}

impl EventBody {
    pub fn payment(&self) -> Option<&PaymentReport> {
        match self {
            Self::Payment(report) | Self::PaidAndReversed(report, _) => Some(report),
            Self::Reversal(_) | Self::Other { .. } => None,
        }
    }

    pub fn reversal(&self) -> Option<&ReversalReport> {
        match self {
            Self::Reversal(report) | Self::PaidAndReversed(_, report) => Some(report),
            Self::Payment(_) | Self::Other { .. } => None,
        }
    }
}

impl Event {
    pub(crate) fn payment(
        kind: impl Into<String>,
        delivery_key: String,
        report: PaymentReport,
    ) -> Self {
        // A failed attempt moves no money, so two over different amounts do not contradict each
        // other.
        let failed = matches!(report.outcome, Outcome::Failed { .. });
        let facts = MoneyFacts {
            amount: report.amount.filter(|_| !failed),
            outcome: match report.outcome {
                Outcome::Succeeded => "succeeded",
                Outcome::Failed { .. } => "failed",
                Outcome::Unknown { .. } => "unknown",
                Outcome::Unconfirmed { .. } => "unconfirmed",
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
                ReversalOutcome::Unstated => "reversal_unstated",
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

    pub(crate) fn paid_and_reversed(
        kind: impl Into<String>,
        delivery_key: String,
        paid: PaymentReport,
        reversed: ReversalReport,
    ) -> Self {
        let facts = MoneyFacts {
            amount: paid.amount,
            outcome: "paid_and_reversed",
            receipt: paid.receipt.clone(),
        };
        Self {
            kind: kind.into(),
            delivery_key,
            facts,
            body: EventBody::PaidAndReversed(paid, reversed),
        }
    }

    /// Makes the event id a part of the keys where two messages may be equal byte for byte and yet
    /// tell two things. One message that the queue delivers twice keeps its id, and so its keys.
    pub fn delivered_as(mut self, id: EventId) -> Self {
        if let EventBody::Reversal(report) = &mut self.body
            && report.outcome == ReversalOutcome::Unstated
        {
            let id = id.to_string();
            self.delivery_key = format!("{}:{id}", self.delivery_key);
            report.reversal_key = format!("{}:{id}", report.reversal_key);
        }
        self
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
    /// The outcome of a message that says "paid". It is a success only with a money key and an
    /// amount above zero (protocol A8, C7).
    pub(crate) fn from_paid(money_key: Option<&str>, amount: Option<Money>) -> Self {
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
        // The kind may be the sender's text.
        f.debug_struct("Event")
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

#[cfg(test)]
mod tests {
    use risiti_domain::{Currency, parse_amount};

    use super::*;

    #[test]
    fn paid_succeeds_only_with_a_key_and_an_amount() {
        let money = |text| Money::new(parse_amount(text).unwrap(), Currency::KES).unwrap();
        assert_eq!(
            Outcome::from_paid(Some("UIS4000001"), Some(money("0.005"))),
            Outcome::Succeeded
        );
        for (key, amount) in [
            (None, Some(money("1"))),
            (Some("UIS4000001"), None),
            (Some("UIS4000001"), Some(money("0.004"))),
            (None, None),
        ] {
            assert!(matches!(
                Outcome::from_paid(key, amount),
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
            paid_by: None,
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
