//! The payments that must exist, given which messages arrived.

use rust_decimal::Decimal;

use crate::traffic::message::Report;
use crate::traffic::payment::ExpectedPayment;

#[derive(Debug, PartialEq)]
pub(crate) struct DuePayment {
    pub(crate) has_money_key: bool,
    pub(crate) has_checkout: bool,
    pub(crate) state: &'static str,
    /// The amounts that went back.
    pub(crate) returned: Vec<Decimal>,
}

impl DuePayment {
    pub(crate) fn holds_money(&self) -> bool {
        matches!(self.state, "success" | "reversed")
    }

    /// A payment whose money did not come. It has a money key or a check-out, never both.
    fn without_money(has_money_key: bool, state: &'static str) -> Self {
        Self {
            has_money_key,
            has_checkout: !has_money_key,
            state,
            returned: Vec::new(),
        }
    }
}

/// Returns the payments that must exist for one generated payment. `arrived` says of each message
/// whether it arrived.
pub(crate) fn due_payments(expected: &ExpectedPayment, arrived: &[bool]) -> Vec<DuePayment> {
    let arrived_meanings = || {
        expected
            .messages
            .iter()
            .zip(arrived)
            .filter(|(_, arrived)| **arrived)
            .map(|(meaning, _)| meaning)
    };
    let is_reported = |report: Report| arrived_meanings().any(|meaning| meaning.reports == report);
    let is_unclear = |kind: &str| {
        arrived_meanings().any(|meaning| meaning.reports == Report::Unclear && meaning.kind == kind)
    };

    let returned: Vec<Decimal> = arrived_meanings()
        .filter_map(|meaning| match meaning.reports {
            Report::Returned(amount) => Some(amount),
            _ => None,
        })
        .collect();
    let with_money = |has_checkout: bool| DuePayment {
        has_money_key: true,
        has_checkout,
        state: if returned.iter().sum::<Decimal>() >= expected.amount {
            "reversed"
        } else {
            "success"
        },
        returned: returned.clone(),
    };

    if is_reported(Report::Paid) {
        return vec![with_money(expected.checkout_id.is_some())];
    }

    // Without the success of the check-out, no message says that the money and the check-out are
    // one payment. So there may be two.
    let mut due = Vec::new();
    if is_reported(Report::Confirmed) {
        due.push(with_money(false));
    } else if is_unclear("c2b_confirmation") {
        due.push(DuePayment::without_money(true, "pending"));
    }
    if is_reported(Report::Failed) {
        due.push(DuePayment::without_money(false, "failed"));
    } else if is_unclear("stk") {
        due.push(DuePayment::without_money(false, "pending"));
    }
    due
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::traffic::message::{Meaning, Provider};

    pub(crate) fn expected_payment(reports: &[(&str, Report)]) -> ExpectedPayment {
        ExpectedPayment {
            number: 1,
            merchant: "duka".to_owned(),
            provider: Provider::Daraja,
            money_key: "UIS1".to_owned(),
            checkout_id: Some("ws_1".to_owned()),
            receipt: "UIS1".to_owned(),
            amount: Decimal::TEN,
            currency: "KES".to_owned(),
            phones: vec![None],
            owes: true,
            messages: reports
                .iter()
                .enumerate()
                .map(|(at, (kind, report))| Meaning {
                    kind: (*kind).to_owned(),
                    delivery_key: format!("key-{at}"),
                    reports: report.clone(),
                })
                .collect(),
        }
    }

    type Due = (&'static str, bool, bool);

    /// The state of each due payment, and whether it has a money key and a check-out.
    fn due(reports: &[(&str, Report)], arrived: &[bool]) -> Vec<Due> {
        due_payments(&expected_payment(reports), arrived)
            .iter()
            .map(|due| (due.state, due.has_money_key, due.has_checkout))
            .collect()
    }

    #[test]
    fn confirmation_without_success_makes_two_payments() {
        let paid_late = [
            ("stk", Report::Failed),
            ("stk", Report::Paid),
            ("c2b_confirmation", Report::Confirmed),
        ];
        assert_eq!(
            due(&paid_late, &[true, true, true]),
            [("success", true, true)]
        );
        assert_eq!(
            due(&paid_late, &[true, false, true]),
            [("success", true, false), ("failed", false, true)]
        );
        assert_eq!(
            due(&paid_late, &[true, false, false]),
            [("failed", false, true)]
        );
        assert_eq!(due(&paid_late, &[false, false, false]), []);
    }

    #[test]
    fn payment_is_reversed_once_all_money_went_back() {
        let five = Report::Returned(Decimal::from(5));
        let returned = [
            ("stk", Report::Paid),
            ("reversal_result", five.clone()),
            ("reversal_result", five),
        ];
        assert_eq!(
            due(&returned, &[true, true, false]),
            [("success", true, true)]
        );
        assert_eq!(
            due(&returned, &[true, true, true]),
            [("reversed", true, true)]
        );
        assert_eq!(due(&returned, &[false, true, true]), []);
    }

    #[test]
    fn unclear_message_leaves_a_pending_payment() {
        assert_eq!(
            due(&[("stk", Report::Unclear)], &[true]),
            [("pending", false, true)]
        );
        assert_eq!(
            due(&[("c2b_confirmation", Report::Unclear)], &[true]),
            [("pending", true, false)]
        );
    }
}
