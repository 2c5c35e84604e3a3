//! What one report means for the state of its payment.

use risiti_domain::PaymentState;
use risiti_providers::{Outcome, PaymentReport};

use crate::recording::payment::Payment;

/// What one report means for a payment's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Paid,
    Failed(String),
    /// The payment stays pending, for this reason.
    Unsettled(String),
    /// The payment stays pending for this reason, and a person has to look at it.
    Flagged(String),
}

/// It comes before all others, also among the reasons of one flag, of which the smallest text stays.
pub(crate) const ABOVE_CEILING: &str =
    "above the merchant's ceiling for one payment: settle it if it is true";
pub(crate) const SHORT_CODE_UNKNOWN: &str = "the short code is not registered for this merchant";
pub(crate) const MAY_BE_OWN: &str =
    "an organisation paid that may be the merchant itself, from another of its short codes";
const NO_RECEIPT: &str = "reported as paid, without a receipt";
const NO_AMOUNT: &str = "reported as paid, without an amount";
const ZERO_AMOUNT: &str = "the amount rounds to 0.00";

impl Verdict {
    /// Judges a report. `doubt` is the reason why money may not be the merchant's income, if there
    /// is one.
    pub(crate) fn of(report: &PaymentReport, doubt: Option<&str>) -> Self {
        match &report.outcome {
            Outcome::Failed { reason } => Self::Failed(reason.clone()),
            Outcome::Unknown { reason } => Self::Unsettled(reason.clone()),
            Outcome::Unconfirmed { reason } => Self::Flagged(reason.clone()),
            Outcome::Succeeded if report.money_key.is_none() => {
                Self::Unsettled(NO_RECEIPT.to_owned())
            }
            Outcome::Succeeded => match (report.amount, doubt) {
                (None, _) => Self::Unsettled(NO_AMOUNT.to_owned()),
                (Some(amount), _) if amount.is_zero() => Self::Unsettled(ZERO_AMOUNT.to_owned()),
                (Some(_), Some(doubt)) => Self::Flagged(doubt.to_owned()),
                (Some(_), None) => Self::Paid,
            },
        }
    }

    /// Moves a payment as far as its state allows. Returns the reason of the move, if it moved.
    ///
    /// `owes_nothing` is the reason why a paid payment would owe no tax invoice. A payment that is
    /// flagged keeps the reason of its flag.
    pub(crate) fn apply_to(
        self,
        payment: &mut Payment,
        owes_nothing: Option<&str>,
    ) -> Option<String> {
        match self {
            Self::Paid => {
                payment.state = payment.state.move_to(PaymentState::Success).ok()?;
                if !payment.conflict {
                    payment.reason = owes_nothing.map(str::to_owned);
                }
                Some("money arrived".to_owned())
            }
            Self::Failed(reason) => match payment.state.move_to(PaymentState::Failed) {
                Ok(failed) => {
                    payment.state = failed;
                    if !payment.conflict {
                        payment.reason = Some(reason.clone());
                    }
                    Some(reason)
                }
                Err(_) => {
                    if payment.state == PaymentState::Failed {
                        payment.add_reason(&reason);
                    }
                    None
                }
            },
            Self::Unsettled(reason) => {
                if payment.state == PaymentState::Pending {
                    payment.add_reason(&reason);
                }
                None
            }
            Self::Flagged(reason) => {
                payment.flag(&reason);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use risiti_domain::{Currency, Money, PaymentMethod};
    use rust_decimal::Decimal;

    use super::Verdict::{Flagged, Paid, Unsettled};
    use super::*;

    fn paid_report(receipt: Option<&str>, cents: Option<i64>) -> PaymentReport {
        PaymentReport {
            money_key: receipt.map(str::to_owned),
            checkout_id: None,
            reference: None,
            receipt: receipt.map(str::to_owned),
            outcome: Outcome::Succeeded,
            amount: cents.map(|cents| Money::new(Decimal::new(cents, 2), Currency::KES).unwrap()),
            phone: None,
            occurred_at: None,
            short_code: None,
            paid_by: None,
            method: PaymentMethod::Other,
        }
    }

    #[test]
    fn paid_needs_receipt_amount_and_known_short_code() {
        let verdict = |receipt, cents, known: bool| {
            let doubt = (!known).then_some(SHORT_CODE_UNKNOWN);
            Verdict::of(&paid_report(receipt, cents), doubt)
        };
        assert_eq!(verdict(Some("R"), Some(1), true), Paid);
        assert_eq!(
            verdict(None, Some(1), true),
            Unsettled(NO_RECEIPT.to_owned())
        );
        assert_eq!(
            verdict(Some("R"), None, true),
            Unsettled(NO_AMOUNT.to_owned())
        );
        assert_eq!(
            verdict(Some("R"), Some(0), true),
            Unsettled(ZERO_AMOUNT.to_owned())
        );
        assert_eq!(
            verdict(Some("R"), Some(1), false),
            Flagged(SHORT_CODE_UNKNOWN.to_owned())
        );
    }
}
