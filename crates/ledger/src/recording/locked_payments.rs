//! The payments a batch touches, in memory under their row locks: finding, folding and moving them.
//!
//! Nothing here asks the database. What is to be written is collected as steps, in the order in
//! which they must be written.

use std::collections::HashMap;

use risiti_domain::{AuthenticatedBy, EventId, MerchantId, PaymentId, PaymentState, Provider};
use risiti_providers::PaymentReport;

use crate::recording::payment::{Payment, Verdict};

/// One write: a payment as it shall stand, guarded by the state it has before.
pub(crate) struct Step {
    pub(crate) payment: Payment,
    /// `None`: the row is new.
    pub(crate) from: Option<PaymentState>,
    pub(crate) because: Option<String>,
    pub(crate) event: EventId,
}

pub(crate) struct Books {
    payments: Vec<Payment>,
    keys: HashMap<(MerchantId, Provider, Key), usize>,
    pub(crate) steps: Vec<Step>,
    /// Emptied payments and those that took them in.
    pub(crate) folds: Vec<(PaymentId, PaymentId)>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    Money(String),
    Checkout(String),
    Reference(String),
}

/// One payment event, with what only its surroundings can tell.
pub(crate) struct Telling<'a> {
    pub(crate) event: EventId,
    pub(crate) merchant: MerchantId,
    pub(crate) provider: Provider,
    pub(crate) authenticated_by: AuthenticatedBy,
    pub(crate) report: &'a PaymentReport,
    pub(crate) short_code_known: bool,
    /// Why this payment would owe no tax invoice.
    pub(crate) owes_nothing: Option<&'static str>,
}

/// What became of one payment event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) payment: PaymentId,
    /// A person looks.
    pub(crate) flagged: bool,
}

impl Books {
    pub(crate) fn new(payments: Vec<Payment>) -> Self {
        let mut books = Self {
            payments: Vec::new(),
            keys: HashMap::new(),
            steps: Vec::new(),
            folds: Vec::new(),
        };
        for payment in payments {
            books.payments.push(payment);
            books.index(books.payments.len() - 1);
        }
        books
    }

    pub(crate) fn by_money_key(
        &self,
        merchant: MerchantId,
        provider: Provider,
        key: &str,
    ) -> Option<&Payment> {
        let key = (merchant, provider, Key::Money(key.to_owned()));
        self.keys.get(&key).map(|at| &self.payments[*at])
    }

    pub(crate) fn get(&self, id: PaymentId) -> Option<&Payment> {
        self.payments.iter().find(|payment| payment.id == id)
    }

    /// All that were not folded away.
    pub(crate) fn standing(&self) -> impl Iterator<Item = &Payment> {
        self.payments
            .iter()
            .filter(|payment| payment.folded_into.is_none())
    }

    /// Finds or makes the payment and moves it (protocol C5–C7). `fresh` is the id of a new one.
    pub(crate) fn tell(&mut self, telling: &Telling<'_>, fresh: PaymentId) -> Told {
        let found = self.find(telling);
        if let Some(told) = self.contradicted(&found, telling) {
            return told;
        }
        let at = match found.split_first() {
            None => self.open(telling, fresh),
            Some((keep, others)) => {
                others
                    .iter()
                    .for_each(|other| self.fold(*other, *keep, telling.event));
                *keep
            }
        };
        let flagged = self.settle(at, telling);
        self.index(at);
        Told {
            payment: self.payments[at].id,
            flagged,
        }
    }

    /// Flags a payment for a person to look at.
    pub(crate) fn flag(&mut self, id: PaymentId, reason: &str, event: EventId) {
        self.change(id, event, |payment| {
            payment.flag(reason);
            None
        });
    }

    /// `success → reversed`.
    pub(crate) fn reverse(&mut self, id: PaymentId, because: &str, event: EventId) {
        self.change(id, event, |payment| {
            payment.state = payment.state.move_to(PaymentState::Reversed).ok()?;
            Some(because.to_owned())
        });
    }

    /// Every payment the keys lead to; the one to keep comes first: who holds money, else the
    /// oldest.
    fn find(&self, telling: &Telling<'_>) -> Vec<usize> {
        let report = telling.report;
        let keys = [
            report.money_key.clone().map(Key::Money),
            report.checkout_id.clone().map(Key::Checkout),
            report.reference.clone().map(Key::Reference),
        ];
        let mut found: Vec<usize> = keys
            .into_iter()
            .flatten()
            .filter_map(|key| {
                self.keys
                    .get(&(telling.merchant, telling.provider, key))
                    .copied()
            })
            .collect();
        found.sort_unstable_by_key(|at| (!self.payments[*at].holds_money(), self.payments[*at].id));
        found.dedup();
        found
    }

    /// Nothing moves where keys or money contradict each other: flagged, a person looks.
    fn contradicted(&mut self, found: &[usize], telling: &Telling<'_>) -> Option<Told> {
        let with_report = found
            .iter()
            .find_map(|at| self.payments[*at].contradiction(telling.report));
        let reason = with_report.or_else(|| self.unfoldable(found))?;
        let id = self.payments[*found.first()?].id;
        self.flag(id, reason, telling.event);
        Some(Told {
            payment: id,
            flagged: true,
        })
    }

    fn unfoldable(&self, found: &[usize]) -> Option<&'static str> {
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

    fn open(&mut self, telling: &Telling<'_>, fresh: PaymentId) -> usize {
        let mut payment = Payment::new(
            fresh,
            telling.merchant,
            telling.provider,
            telling.report.method,
        );
        payment.learn(telling.report, telling.authenticated_by);
        self.steps.push(Step {
            payment: payment.clone(),
            from: None,
            because: None,
            event: telling.event,
        });
        self.payments.push(payment);
        self.payments.len() - 1
    }

    fn fold(&mut self, empty: usize, keep: usize, event: EventId) {
        let keep_id = self.payments[keep].id;
        let payment = &mut self.payments[empty];
        let from = payment.state;
        payment.state = PaymentState::Folded;
        payment.folded_into = Some(keep_id);
        let payment = payment.clone();
        self.payments[keep].swallow(&payment);
        self.folds.push((payment.id, keep_id));
        let because = Some("receipt and checkout are one payment".to_owned());
        self.steps.push(Step {
            payment,
            from: Some(from),
            because,
            event,
        });
        // What it swallowed is written even where the report adds nothing.
        let payment = self.payments[keep].clone();
        let from = Some(payment.state);
        self.steps.push(Step {
            payment,
            from,
            because: None,
            event,
        });
    }

    /// Learns and moves; true when flagged.
    fn settle(&mut self, at: usize, telling: &Telling<'_>) -> bool {
        let verdict = Verdict::of(telling.report, telling.short_code_known);
        let flagged = matches!(verdict, Verdict::Flagged(_));
        let id = self.payments[at].id;
        self.change(id, telling.event, |payment| {
            payment.learn(telling.report, telling.authenticated_by);
            apply(payment, verdict, telling.owes_nothing)
        });
        flagged
    }

    /// Changes a payment and notes the step, if there is a difference.
    fn change(
        &mut self,
        id: PaymentId,
        event: EventId,
        change: impl FnOnce(&mut Payment) -> Option<String>,
    ) {
        let Some(payment) = self.payments.iter_mut().find(|payment| payment.id == id) else {
            return;
        };
        let before = payment.clone();
        let because = change(payment);
        if *payment != before {
            let payment = payment.clone();
            self.steps.push(Step {
                payment,
                from: Some(before.state),
                because,
                event,
            });
        }
    }

    /// Folded payments keep their keys in the table, but lead nowhere any more.
    fn index(&mut self, at: usize) {
        let payment = &self.payments[at];
        let keys = [
            payment.money_key.clone().map(Key::Money),
            payment.checkout_id.clone().map(Key::Checkout),
            payment.reference.clone().map(Key::Reference),
        ];
        for key in keys.into_iter().flatten() {
            self.keys
                .insert((payment.merchant, payment.provider, key), at);
        }
    }
}

/// Moves as far as the verdict says; the reason of the move, if there is one.
fn apply(payment: &mut Payment, verdict: Verdict, owes_nothing: Option<&str>) -> Option<String> {
    match verdict {
        Verdict::Paid => {
            payment.state = payment.state.move_to(PaymentState::Success).ok()?;
            if !payment.conflict {
                payment.reason = owes_nothing.map(str::to_owned);
            }
            Some("money arrived".to_owned())
        }
        Verdict::Failed(reason) => match payment.state.move_to(PaymentState::Failed) {
            Ok(failed) => {
                payment.state = failed;
                if !payment.conflict {
                    payment.reason = Some(reason.clone());
                }
                Some(reason)
            }
            Err(_) => {
                if payment.state == PaymentState::Failed {
                    payment.explain(&reason);
                }
                None
            }
        },
        Verdict::Unsettled(reason) => {
            if payment.state == PaymentState::Pending {
                payment.explain(&reason);
            }
            None
        }
        Verdict::Flagged(reason) => {
            payment.flag(&reason);
            None
        }
    }
}
