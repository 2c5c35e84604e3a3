//! One payment, and how what gateways say of it adds up: pure, and the same whatever order they say
//! it in.

use jiff::Timestamp;
use risiti_domain::{
    AuthenticatedBy, MerchantId, Money, PaymentId, PaymentMethod, PaymentState, Provider,
};
use risiti_providers::{Outcome, PaymentReport};

/// A row of `payments`. No `Debug`: it holds a phone and a checkout id.
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
    pub(crate) authenticated_by: Option<AuthenticatedBy>,
    pub(crate) state: PaymentState,
    pub(crate) reason: Option<String>,
    pub(crate) conflict: bool,
    pub(crate) folded_into: Option<PaymentId>,
    pub(crate) occurred_at: Option<Timestamp>,
}

/// What one report means for a payment's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Paid,
    Failed(String),
    /// Stays pending, and says why.
    Unsettled(String),
    /// Stays pending, says why, and a person looks.
    Flagged(String),
}

pub(crate) const SHORT_CODE_UNKNOWN: &str = "the short code is not registered for this merchant";
const NO_RECEIPT: &str = "told as paid, without a receipt";
const NO_AMOUNT: &str = "told as paid, without an amount";
const ZERO: &str = "the amount rounds to 0.00";

impl Verdict {
    /// `short_code_known`: false for a report that names a short code the merchant has not
    /// registered.
    pub(crate) fn of(report: &PaymentReport, short_code_known: bool) -> Self {
        match &report.outcome {
            Outcome::Failed { reason } => Self::Failed(reason.clone()),
            Outcome::Unknown { reason } => Self::Unsettled(reason.clone()),
            Outcome::Succeeded if report.money_key.is_none() => {
                Self::Unsettled(NO_RECEIPT.to_owned())
            }
            Outcome::Succeeded => match report.amount {
                None => Self::Unsettled(NO_AMOUNT.to_owned()),
                Some(amount) if amount.is_zero() => Self::Unsettled(ZERO.to_owned()),
                Some(_) if !short_code_known => Self::Flagged(SHORT_CODE_UNKNOWN.to_owned()),
                Some(_) => Self::Paid,
            },
        }
    }
}

impl Payment {
    /// Pending, and nothing known of it yet.
    pub(crate) fn new(
        id: PaymentId,
        merchant: MerchantId,
        provider: Provider,
        method: PaymentMethod,
    ) -> Self {
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
            method,
            short_code: None,
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

    /// What the report says that cannot be true beside what is known (protocol C5, C6): keys and
    /// money only. Times may differ by a second between channels.
    pub(crate) fn contradiction(&self, report: &PaymentReport) -> Option<&'static str> {
        let differs = |a: &Option<String>, b: &Option<String>| a.is_some() && b.is_some() && a != b;
        match (self.amount, report.amount) {
            (Some(known), Some(told)) if known.currency() != told.currency() => {
                return Some("another message names another currency");
            }
            (Some(known), Some(told)) if known != told => {
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

    /// Adds what was missing. What is known already stays, or the choice does not depend on order.
    pub(crate) fn learn(&mut self, report: &PaymentReport, authenticated_by: AuthenticatedBy) {
        learn_key(&mut self.money_key, &report.money_key);
        learn_key(&mut self.checkout_id, &report.checkout_id);
        learn_key(&mut self.reference, &report.reference);
        learn_key(&mut self.receipt, &report.receipt);
        learn_key(&mut self.short_code, &report.short_code);
        self.amount = self.amount.or(report.amount);
        if let Some(phone) = &report.phone {
            self.learn_phone(phone.as_str(), phone.full().is_some());
        }
        self.learn_time(report.occurred_at);
        if self.method == PaymentMethod::Other {
            self.method = report.method;
        }
        if report.outcome == Outcome::Succeeded {
            self.believe(Some(authenticated_by));
        }
    }

    /// Takes over all that an empty payment knew (protocol C6).
    pub(crate) fn swallow(&mut self, other: &Self) {
        learn_key(&mut self.money_key, &other.money_key);
        learn_key(&mut self.checkout_id, &other.checkout_id);
        learn_key(&mut self.reference, &other.reference);
        learn_key(&mut self.receipt, &other.receipt);
        learn_key(&mut self.short_code, &other.short_code);
        self.amount = self.amount.or(other.amount);
        if let Some(phone) = &other.phone {
            self.learn_phone(phone, other.phone_is_full);
        }
        self.learn_time(other.occurred_at);
        if self.method == PaymentMethod::Other {
            self.method = other.method;
        }
        self.believe(other.authenticated_by);
        if other.conflict {
            self.flag(other.reason.as_deref().unwrap_or("flagged"));
        }
    }

    /// A person looks; the reason stays until then.
    pub(crate) fn flag(&mut self, reason: &str) {
        match &self.reason {
            Some(known) if self.conflict && known.as_str() <= reason => {}
            _ => self.reason = Some(reason.to_owned()),
        }
        self.conflict = true;
    }

    /// Of several reasons the least text stays, so that their order does not show.
    pub(crate) fn explain(&mut self, reason: &str) {
        match &self.reason {
            Some(_) if self.conflict => {}
            Some(known) if known.as_str() <= reason => {}
            _ => self.reason = Some(reason.to_owned()),
        }
    }

    /// A full number beats what a provider left of one.
    fn learn_phone(&mut self, told: &str, full: bool) {
        let better = match &self.phone {
            None => true,
            Some(known) => (!full, told) < (!self.phone_is_full, known.as_str()),
        };
        if better {
            self.phone = Some(told.to_owned());
            self.phone_is_full = full;
        }
    }

    /// Channels may differ by a second: the earlier time stays.
    fn learn_time(&mut self, told: Option<Timestamp>) {
        self.occurred_at = match (self.occurred_at, told) {
            (Some(known), Some(told)) => Some(known.min(told)),
            (known, told) => known.or(told),
        };
    }

    /// The best proof among the messages that told of the money.
    fn believe(&mut self, told: Option<AuthenticatedBy>) {
        let weakness = |by: Option<AuthenticatedBy>| match by {
            Some(AuthenticatedBy::Signature) => 0,
            Some(AuthenticatedBy::PathAndSource) => 1,
            Some(AuthenticatedBy::Path) => 2,
            Some(AuthenticatedBy::PathFromUnlistedSource) => 3,
            None => 4,
        };
        if weakness(told) < weakness(self.authenticated_by) {
            self.authenticated_by = told;
        }
    }
}

fn learn_key(known: &mut Option<String>, told: &Option<String>) {
    if known.is_none() {
        known.clone_from(told);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use risiti_domain::{Currency, Phone};
    use rust_decimal::Decimal;
    use uuid::Uuid;

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
            method: PaymentMethod::Other,
        }
    }

    fn payment() -> Payment {
        let nil = Uuid::nil();
        let method = PaymentMethod::Other;
        Payment::new(
            PaymentId::from_uuid(nil),
            MerchantId::from_uuid(nil),
            Provider::Daraja,
            method,
        )
    }

    #[test]
    fn only_a_receipt_an_amount_and_a_known_short_code_make_it_paid() {
        use Verdict::{Flagged, Paid, Unsettled};
        let verdict =
            |receipt, cents, known| Verdict::of(&report(Outcome::Succeeded, receipt, cents), known);
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
            Unsettled(ZERO.to_owned())
        );
        assert_eq!(
            verdict(Some("R"), Some(1), false),
            Flagged(SHORT_CODE_UNKNOWN.to_owned())
        );
    }

    #[test]
    fn what_is_not_known_contradicts_nothing() {
        let mut payment = payment();
        let full = report(Outcome::Succeeded, Some("R"), Some(500));
        assert_eq!(payment.contradiction(&full), None);
        payment.learn(&full, AuthenticatedBy::Path);
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
        (phones, 0i64..3, by, any::<bool>()).prop_map(|(phone, second, by, paid)| {
            let outcome = if paid {
                Outcome::Succeeded
            } else {
                Outcome::Unknown {
                    reason: String::new(),
                }
            };
            let report = PaymentReport {
                phone: phone.and_then(Phone::parse),
                occurred_at: Some(Timestamp::from_second(second).unwrap()),
                ..report(outcome, Some("R"), Some(500))
            };
            (report, by)
        })
    }

    proptest! {
        #[test]
        fn what_is_learnt_does_not_depend_on_order(told in prop::collection::vec(reports(), 0..5)) {
            let (mut forth, mut back) = (payment(), payment());
            told.iter().for_each(|(report, by)| forth.learn(report, *by));
            told.iter().rev().for_each(|(report, by)| back.learn(report, *by));
            prop_assert!(forth == back);
            told.iter().for_each(|(report, by)| back.learn(report, *by));
            prop_assert!(forth == back, "telling it all again changes nothing");
        }
    }
}
