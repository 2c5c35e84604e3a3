//! The payments that a batch touches, in memory under their row locks: finding, folding and moving
//! them.
//!
//! Nothing here asks the database. What has to be written is collected in the order in which it
//! must be written.

use std::collections::HashMap;

use risiti_domain::{AuthenticatedBy, EventId, MerchantId, PaymentId, PaymentState, Provider};
use risiti_providers::PaymentReport;

use crate::recording::owing::MerchantSetups;
use crate::recording::payment::{Payment, PaymentWrite};
use crate::recording::verdict::Verdict;

const OWN_WAS_COUNTED: &str = "a transfer between the merchant's short codes was counted as a sale";

/// The payments that a batch touches, found by any of their keys.
pub(crate) struct LockedPayments {
    payments: Vec<Payment>,
    by_id: HashMap<PaymentId, usize>,
    by_key: HashMap<(MerchantId, Provider, Key), usize>,
    pub(crate) writes: Vec<PaymentWrite>,
    /// Payments that were folded, each with the one it was folded into.
    pub(crate) folds: Vec<(PaymentId, PaymentId)>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    Money(String),
    Checkout(String),
    Reference(String),
}

/// One payment event, with what depends on its merchant.
pub(crate) struct PaymentEvent<'a> {
    pub(crate) event: EventId,
    pub(crate) merchant: MerchantId,
    pub(crate) provider: Provider,
    pub(crate) authenticated_by: AuthenticatedBy,
    pub(crate) report: &'a PaymentReport,
    pub(crate) setups: &'a MerchantSetups,
}

/// What became of one payment event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AppliedEvent {
    pub(crate) payment: PaymentId,
    /// Whether a person has to look at it.
    pub(crate) flagged: bool,
}

/// How a flag ends.
pub(crate) struct FlagEnd {
    pub(crate) state: PaymentState,
    /// What the payment shows from now on.
    pub(crate) reason: Option<String>,
    pub(crate) because: String,
}

impl LockedPayments {
    pub(crate) fn new(payments: Vec<Payment>) -> Self {
        let mut locked = Self {
            payments: Vec::new(),
            by_id: HashMap::new(),
            by_key: HashMap::new(),
            writes: Vec::new(),
            folds: Vec::new(),
        };
        for payment in payments {
            let at = locked.push(payment);
            locked.index_keys(at);
        }
        locked
    }

    pub(crate) fn by_money_key(
        &self,
        merchant: MerchantId,
        provider: Provider,
        key: &str,
    ) -> Option<&Payment> {
        let key = (merchant, provider, Key::Money(key.to_owned()));
        self.by_key.get(&key).map(|at| &self.payments[*at])
    }

    pub(crate) fn get(&self, id: PaymentId) -> Option<&Payment> {
        self.by_id.get(&id).map(|at| &self.payments[*at])
    }

    /// All payments that were not folded into others.
    pub(crate) fn current(&self) -> impl Iterator<Item = &Payment> {
        self.payments
            .iter()
            .filter(|payment| payment.folded_into.is_none())
    }

    /// The payment itself, or the one it was folded into.
    pub(crate) fn current_id(&self, payment: PaymentId) -> PaymentId {
        let fold = self.folds.iter().find(|(folded, _)| *folded == payment);
        fold.map_or(payment, |(_, into)| self.current_id(*into))
    }

    /// Finds or creates the event's payment and moves it (protocol C5–C7). A new payment takes
    /// `new_id`.
    pub(crate) fn apply(&mut self, event: &PaymentEvent<'_>, new_id: PaymentId) -> AppliedEvent {
        let found = self.find(event);
        if let Some(flagged) = self.flag_contradiction(&found, event) {
            return flagged;
        }

        let at = match found.split_first() {
            None => self.add(event, new_id),
            Some((keep, others)) => {
                for other in others {
                    self.fold(*other, *keep, event.event);
                }
                *keep
            }
        };

        let flagged = self.apply_report(at, event);
        self.index_keys(at);
        AppliedEvent {
            payment: self.payments[at].id,
            flagged,
        }
    }

    /// Flags a payment for a person to look at.
    pub(crate) fn flag(&mut self, id: PaymentId, reason: &str, event: EventId) {
        self.change(self.current_id(id), event, |payment| {
            payment.flag(reason);
            None
        });
    }

    /// Ends a payment's flag for good, and moves the payment to the state that follows from it.
    pub(crate) fn end_flag(&mut self, id: PaymentId, end: FlagEnd, event: EventId) {
        self.change(id, event, |payment| {
            payment.conflict = false;
            payment.reason = end.reason;
            if payment.state != end.state {
                payment.state = payment.state.move_to(end.state).ok()?;
            }
            Some(end.because)
        });
    }

    /// Moves a payment `success → reversed`.
    pub(crate) fn reverse(&mut self, id: PaymentId, because: &str, event: EventId) {
        self.change(id, event, |payment| {
            payment.state = payment.state.move_to(PaymentState::Reversed).ok()?;
            Some(because.to_owned())
        });
    }

    /// Every payment that the event's keys lead to. The one to keep comes first: the one that holds
    /// money, otherwise the oldest.
    fn find(&self, event: &PaymentEvent<'_>) -> Vec<usize> {
        let report = event.report;
        let keys = [
            report.money_key.clone().map(Key::Money),
            report.checkout_id.clone().map(Key::Checkout),
            report.reference.clone().map(Key::Reference),
        ];
        let mut found: Vec<usize> = keys
            .into_iter()
            .flatten()
            .filter_map(|key| {
                self.by_key
                    .get(&(event.merchant, event.provider, key))
                    .copied()
            })
            .collect();
        found.sort_unstable_by_key(|at| (!self.payments[*at].holds_money(), self.payments[*at].id));
        found.dedup();
        found
    }

    /// Flags the payment, and moves nothing, if keys or money contradict each other.
    fn flag_contradiction(
        &mut self,
        found: &[usize],
        event: &PaymentEvent<'_>,
    ) -> Option<AppliedEvent> {
        let with_report = found
            .iter()
            .find_map(|at| self.payments[*at].contradiction(event.report));
        let reason = with_report.or_else(|| self.fold_obstacle(found))?;

        let id = self.payments[*found.first()?].id;
        self.flag(id, reason, event.event);
        Some(AppliedEvent {
            payment: id,
            flagged: true,
        })
    }

    /// Why these payments cannot be one, if they cannot.
    fn fold_obstacle(&self, found: &[usize]) -> Option<&'static str> {
        let payments = || found.iter().map(|at| &self.payments[*at]);
        if payments().filter(|payment| payment.holds_money()).count() > 1 {
            return Some("one message names two payments, and both hold money");
        }

        let mut amounts = payments().filter_map(|payment| payment.amount);
        let first = amounts.next()?;
        amounts
            .any(|amount| amount != first)
            .then_some("one message names two payments of unlike amounts")
    }

    /// Adds a pending payment with the facts of the report.
    fn add(&mut self, event: &PaymentEvent<'_>, id: PaymentId) -> usize {
        let mut payment = Payment::new(id, event.merchant, event.provider);
        payment.add_facts(event.report, event.authenticated_by);
        self.writes.push(PaymentWrite {
            payment: payment.clone(),
            from: None,
            because: None,
            event: event.event,
        });
        self.push(payment)
    }

    fn push(&mut self, payment: Payment) -> usize {
        let at = self.payments.len();
        self.by_id.insert(payment.id, at);
        self.payments.push(payment);
        at
    }

    fn fold(&mut self, folded: usize, keep: usize, event: EventId) {
        let keep_id = self.payments[keep].id;
        let payment = &mut self.payments[folded];
        let from = payment.state;
        payment.state = PaymentState::Folded;
        payment.folded_into = Some(keep_id);
        let payment = payment.clone();

        self.payments[keep].merge(&payment);
        self.folds.push((payment.id, keep_id));
        self.writes.push(PaymentWrite {
            payment,
            from: Some(from),
            because: Some("receipt and checkout are one payment".to_owned()),
            event,
        });

        // The facts that were merged are written even if the report adds none of its own.
        let payment = self.payments[keep].clone();
        let from = Some(payment.state);
        self.writes.push(PaymentWrite {
            payment,
            from,
            because: None,
            event,
        });
    }

    /// Adds the report's facts to a payment and moves it. Returns whether the report flags it.
    fn apply_report(&mut self, at: usize, event: &PaymentEvent<'_>) -> bool {
        let setups = event.setups;
        let verdict = Verdict::of(event.report, setups.doubt(event.merchant, event.report));
        let mut flagged = matches!(verdict, Verdict::Flagged(_));
        let id = self.payments[at].id;
        self.change(id, event.event, |payment| {
            let owed = payment.holds_money() && setups.owes_nothing(payment).is_none();
            payment.add_facts(event.report, event.authenticated_by);
            let owes_nothing = setups.owes_nothing(payment);
            if owed && setups.is_own_transfer(payment) {
                payment.flag(OWN_WAS_COUNTED);
                flagged = true;
            }
            verdict.apply_to(payment, owes_nothing)
        });
        flagged
    }

    /// Changes a payment, and collects a write if that made a difference.
    ///
    /// The event that adds a payment often moves it as well. The row is then stored once, in its
    /// final state, and the database records both moves.
    fn change(
        &mut self,
        id: PaymentId,
        event: EventId,
        change: impl FnOnce(&mut Payment) -> Option<String>,
    ) {
        let Some(at) = self.by_id.get(&id) else {
            return;
        };
        let payment = &mut self.payments[*at];
        let before = payment.clone();
        let because = change(payment);
        if *payment == before {
            return;
        }

        let payment = payment.clone();
        match self.writes.last_mut() {
            Some(last) if last.adds(id, event) => {
                last.payment = payment;
                last.because = because;
            }
            _ => self.writes.push(PaymentWrite {
                payment,
                from: Some(before.state),
                because,
                event,
            }),
        }
    }

    /// Lets the keys of a payment lead to it. The keys of a folded payment then lead to the one
    /// that was kept, although the table still shows them in both rows.
    fn index_keys(&mut self, at: usize) {
        let payment = &self.payments[at];
        let keys = [
            payment.money_key.clone().map(Key::Money),
            payment.checkout_id.clone().map(Key::Checkout),
            payment.reference.clone().map(Key::Reference),
        ];
        for key in keys.into_iter().flatten() {
            self.by_key
                .insert((payment.merchant, payment.provider, key), at);
        }
    }
}
