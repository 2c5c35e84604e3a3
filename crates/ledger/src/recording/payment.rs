//! One payment, and how the reports about it add up.
//!
//! Everything here is pure. The result is the same in whatever order the reports come.

use jiff::Timestamp;
use risiti_domain::{
    AuthenticatedBy, EventId, MerchantId, Money, PaymentId, PaymentMethod, PaymentState, Provider,
};
use risiti_providers::{Organisation, Outcome, PaymentReport};

/// A row of `payments`. There is no `Debug`, because it holds a phone and a checkout id.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Payment {
    pub(crate) id: PaymentId,
    pub(crate) merchant: MerchantId,
    pub(crate) provider: Provider,
    pub(crate) money_key: Option<String>,
    pub(crate) checkout_id: Option<String>,
    pub(crate) reference: Option<String>,
    pub(crate) receipt: Option<String>,
    pub(crate) amount: Option<Money>,
    pub(crate) phone: Option<String>,
    pub(crate) phone_is_full: bool,
    pub(crate) method: PaymentMethod,
    pub(crate) short_code: Option<String>,
    /// The short code that paid, if an organisation did.
    pub(crate) payer_short_code: Option<String>,
    pub(crate) authenticated_by: Option<AuthenticatedBy>,
    pub(crate) state: PaymentState,
    pub(crate) reason: Option<String>,
    pub(crate) conflict: bool,
    pub(crate) folded_into: Option<PaymentId>,
    pub(crate) occurred_at: Option<Timestamp>,
}

/// One write: a payment as it is to be stored, guarded by the state that its row has before.
pub(crate) struct PaymentWrite {
    pub(crate) payment: Payment,
    /// The state before. `None` if the row is new: then the payment was pending first, and the
    /// same event may have moved it once.
    pub(crate) from: Option<PaymentState>,
    pub(crate) because: Option<String>,
    pub(crate) event: EventId,
}

impl PaymentWrite {
    /// Whether this write adds that payment for that event, and does not move it yet.
    pub(crate) fn adds(&self, payment: PaymentId, event: EventId) -> bool {
        self.from.is_none()
            && self.payment.id == payment
            && self.event == event
            && self.payment.state == PaymentState::Pending
    }

    pub(crate) fn became_success(&self) -> bool {
        self.payment.state == PaymentState::Success && self.from != Some(PaymentState::Success)
    }

    /// The states that the payment takes with this write, in order.
    pub(crate) fn moves(&self) -> [Option<PaymentState>; 2] {
        let state = self.payment.state;
        let first = self.from.is_none().then_some(PaymentState::Pending);
        let before = first.or(self.from);
        [first, (before != Some(state)).then_some(state)]
    }
}

impl Payment {
    /// A pending payment of which nothing else is known yet.
    pub(crate) fn new(id: PaymentId, merchant: MerchantId, provider: Provider) -> Self {
        Self {
            id,
            merchant,
            provider,
            money_key: None,
            checkout_id: None,
            reference: None,
            receipt: None,
            amount: None,
            phone: None,
            phone_is_full: false,
            method: PaymentMethod::Other,
            short_code: None,
            payer_short_code: None,
            authenticated_by: None,
            state: PaymentState::Pending,
            reason: None,
            conflict: false,
            folded_into: None,
            occurred_at: None,
        }
    }

    pub(crate) fn holds_money(&self) -> bool {
        matches!(self.state, PaymentState::Success | PaymentState::Reversed)
    }

    /// What the report contradicts, if it contradicts what is known (protocol C5, C6).
    ///
    /// Only keys and money count. Times may differ by a second between channels.
    pub(crate) fn contradiction(&self, report: &PaymentReport) -> Option<&'static str> {
        let differs = |a: &Option<String>, b: &Option<String>| a.is_some() && b.is_some() && a != b;

        match (self.amount, claimed_amount(report)) {
            (Some(known), Some(new)) if known.currency() != new.currency() => {
                return Some("another message names another currency");
            }
            (Some(known), Some(new)) if known != new => {
                return Some("another message names another amount");
            }
            _ => {}
        }

        if differs(&self.money_key, &report.money_key) {
            return Some("another message names another receipt");
        }
        differs(&self.checkout_id, &report.checkout_id)
            .then_some("another message names another checkout")
    }

    /// Adds the facts that were missing. A known fact stays, or is replaced by a choice that does
    /// not depend on the order of the reports.
    ///
    /// Of a failed attempt only the keys are taken. It moved no money, so its amount, time, phone
    /// and method are not the payment's.
    pub(crate) fn add_facts(&mut self, report: &PaymentReport, authenticated_by: AuthenticatedBy) {
        fill(&mut self.money_key, &report.money_key);
        fill(&mut self.checkout_id, &report.checkout_id);
        fill(&mut self.reference, &report.reference);
        fill(&mut self.receipt, &report.receipt);
        fill(&mut self.short_code, &report.short_code);
        if matches!(report.outcome, Outcome::Failed { .. }) {
            return;
        }
        if let Some(Organisation::ShortCode(payer)) = &report.paid_by {
            self.payer_short_code.get_or_insert_with(|| payer.clone());
        }
        self.amount = self.amount.or(report.amount);
        if let Some(phone) = &report.phone {
            self.merge_phone(phone.as_str(), phone.full().is_some());
        }
        self.merge_time(report.occurred_at);
        if self.method == PaymentMethod::Other {
            self.method = report.method;
        }
        let tells_of_money = matches!(
            report.outcome,
            Outcome::Succeeded | Outcome::Unconfirmed { .. }
        );
        if tells_of_money {
            self.merge_authentication(Some(authenticated_by));
        }
    }

    /// Takes over the facts of a payment that is folded into this one (protocol C6).
    pub(crate) fn merge(&mut self, other: &Self) {
        fill(&mut self.money_key, &other.money_key);
        fill(&mut self.checkout_id, &other.checkout_id);
        fill(&mut self.reference, &other.reference);
        fill(&mut self.receipt, &other.receipt);
        fill(&mut self.short_code, &other.short_code);
        fill(&mut self.payer_short_code, &other.payer_short_code);
        self.amount = self.amount.or(other.amount);
        if let Some(phone) = &other.phone {
            self.merge_phone(phone, other.phone_is_full);
        }
        self.merge_time(other.occurred_at);
        if self.method == PaymentMethod::Other {
            self.method = other.method;
        }
        self.merge_authentication(other.authenticated_by);
        if other.conflict {
            self.flag(other.reason.as_deref().unwrap_or("flagged"));
        }
    }

    /// Flags the payment for a person to look at. Of several reasons the smallest text stays.
    pub(crate) fn flag(&mut self, reason: &str) {
        match &self.reason {
            Some(known) if self.conflict && known.as_str() <= reason => {}
            _ => self.reason = Some(reason.to_owned()),
        }
        self.conflict = true;
    }

    /// Gives a reason, unless the payment is flagged. Of several reasons the smallest text stays,
    /// so that the result does not depend on their order.
    pub(crate) fn add_reason(&mut self, reason: &str) {
        match &self.reason {
            Some(_) if self.conflict => {}
            Some(known) if known.as_str() <= reason => {}
            _ => self.reason = Some(reason.to_owned()),
        }
    }

    /// Keeps the better phone number. A full number is better than one that a provider masked.
    fn merge_phone(&mut self, new: &str, full: bool) {
        let better = match &self.phone {
            None => true,
            Some(known) => (!full, new) < (!self.phone_is_full, known.as_str()),
        };
        if better {
            self.phone = Some(new.to_owned());
            self.phone_is_full = full;
        }
    }

    /// Keeps the earlier time, because channels may differ by a second.
    fn merge_time(&mut self, new: Option<Timestamp>) {
        self.occurred_at = match (self.occurred_at, new) {
            (Some(known), Some(new)) => Some(known.min(new)),
            (known, new) => known.or(new),
        };
    }

    /// Keeps the strongest proof among the messages that report the money.
    fn merge_authentication(&mut self, new: Option<AuthenticatedBy>) {
        let weakness = |by: Option<AuthenticatedBy>| match by {
            Some(AuthenticatedBy::Signature) => 0,
            Some(AuthenticatedBy::PathAndSource) => 1,
            Some(AuthenticatedBy::Path) => 2,
            Some(AuthenticatedBy::PathFromUnlistedSource) => 3,
            None => 4,
        };
        if weakness(new) < weakness(self.authenticated_by) {
            self.authenticated_by = new;
        }
    }
}

/// The amount that a report says was paid, or is to be paid.
fn claimed_amount(report: &PaymentReport) -> Option<Money> {
    match report.outcome {
        Outcome::Failed { .. } => None,
        _ => report.amount,
    }
}

/// Takes over a value where none is known.
fn fill(known: &mut Option<String>, new: &Option<String>) {
    if known.is_none() {
        known.clone_from(new);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use risiti_domain::{Currency, Phone};
    use rust_decimal::Decimal;
    use uuid::Uuid;

    use super::*;

    fn report(outcome: Outcome, receipt: Option<&str>, cents: Option<i64>) -> PaymentReport {
        PaymentReport {
            money_key: receipt.map(str::to_owned),
            checkout_id: None,
            reference: None,
            receipt: receipt.map(str::to_owned),
            outcome,
            amount: cents.map(|cents| Money::new(Decimal::new(cents, 2), Currency::KES).unwrap()),
            phone: None,
            occurred_at: None,
            short_code: None,
            paid_by: None,
            method: PaymentMethod::Other,
        }
    }

    fn payment() -> Payment {
        let nil = Uuid::nil();
        Payment::new(
            PaymentId::from_uuid(nil),
            MerchantId::from_uuid(nil),
            Provider::Daraja,
        )
    }

    #[test]
    fn unknown_facts_contradict_nothing() {
        let mut payment = payment();
        let full = report(Outcome::Succeeded, Some("R"), Some(500));
        assert_eq!(payment.contradiction(&full), None);
        payment.add_facts(&full, AuthenticatedBy::Path);
        assert_eq!(payment.contradiction(&full), None);
        assert_eq!(
            payment.contradiction(&report(Outcome::Succeeded, None, None)),
            None
        );
        assert!(
            payment
                .contradiction(&report(Outcome::Succeeded, Some("R"), Some(501)))
                .is_some()
        );
        assert!(
            payment
                .contradiction(&report(Outcome::Succeeded, Some("S"), Some(500)))
                .is_some()
        );
    }

    fn reports() -> impl Strategy<Value = (PaymentReport, AuthenticatedBy)> {
        let phones = prop::option::of(prop::sample::select(vec![
            "0712345678",
            "2547 ***** 678",
            "25471****678",
        ]));
        let by = prop::sample::select(AuthenticatedBy::ALL);
        (phones, 0i64..3, by, 0..3).prop_map(|(phone, second, by, outcome)| {
            let reason = String::new();
            let (outcome, cents, method) = match outcome {
                0 => (Outcome::Succeeded, 500, PaymentMethod::MobileMoney),
                1 => (Outcome::Unknown { reason }, 500, PaymentMethod::MobileMoney),
                _ => (Outcome::Failed { reason }, 515, PaymentMethod::Card),
            };
            let report = PaymentReport {
                phone: phone.and_then(Phone::parse),
                occurred_at: Some(Timestamp::from_second(second).unwrap()),
                method,
                ..report(outcome, Some("R"), Some(cents))
            };
            (report, by)
        })
    }

    proptest! {
        #[test]
        fn facts_do_not_depend_on_the_order_of_reports(reported in prop::collection::vec(reports(), 0..5)) {
            let mut forth = payment();
            let mut back = payment();
            reported.iter().for_each(|(report, by)| forth.add_facts(report, *by));
            reported.iter().rev().for_each(|(report, by)| back.add_facts(report, *by));
            prop_assert!(forth == back);
            reported.iter().for_each(|(report, by)| back.add_facts(report, *by));
            prop_assert!(forth == back, "reporting it all again changes nothing");
            let contradicts = |(report, _): &(PaymentReport, _)| forth.contradiction(report).is_some();
            prop_assert!(!reported.iter().any(contradicts));
        }
    }
}
