//! Money going back, told in any order, in parts or whole (protocol C9): pure.

use jiff::Timestamp;
use risiti_domain::{EventId, MerchantId, Money, PaymentId, PaymentState, Provider};
use risiti_providers::{ReversalOutcome, ReversalReport};
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::recording::locked_payments::Books;
use crate::recording::payment::Payment;

/// A row of `reversals`.
#[derive(Clone)]
pub(crate) struct Reversal {
    pub(crate) id: Uuid,
    pub(crate) merchant: MerchantId,
    pub(crate) provider: Provider,
    pub(crate) key: String,
    pub(crate) of_money_key: String,
    /// `None`: the whole sale.
    pub(crate) amount: Option<Money>,
    pub(crate) state: ReversalState,
    /// What it took of the sale, while applied.
    pub(crate) credited: Option<Decimal>,
    pub(crate) payment: Option<PaymentId>,
    pub(crate) event: EventId,
    pub(crate) occurred_at: Option<Timestamp>,
    pub(crate) stored: Stored,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stored {
    Not,
    AsItIs,
    Otherwise,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ReversalState {
    Announced,
    Failed,
    Waiting,
    Applied,
    Excess,
    Undone,
}

/// What has to follow in the invoices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Consequence {
    CreditNote {
        payment: PaymentId,
        reversal: Uuid,
        amount: Decimal,
        event: EventId,
    },
    Withdraw {
        payment: PaymentId,
        reversal: Uuid,
        event: EventId,
    },
}

impl Consequence {
    pub(crate) fn event(&self) -> EventId {
        match self {
            Self::CreditNote { event, .. } | Self::Withdraw { event, .. } => *event,
        }
    }
}

/// The reversals a batch touches, under their row locks.
#[derive(Default)]
pub(crate) struct Reversals {
    pub(crate) rows: Vec<Reversal>,
    pub(crate) consequences: Vec<Consequence>,
    /// Events for a person to look at.
    pub(crate) flagged: Vec<EventId>,
}

const TOO_MUCH: &str = "more money went back than the sale was";
const OTHER_CURRENCY: &str = "money went back in another currency";
const OTHER_AMOUNT: &str = "another message names another amount for one reversal";
const OTHER_SALE: &str = "another message names another sale for one reversal";
pub(crate) const CAME_BACK: &str = "money that had gone back came back after it was credited";

impl ReversalState {
    pub(crate) const ALL: [Self; 6] = [
        Self::Announced,
        Self::Failed,
        Self::Waiting,
        Self::Applied,
        Self::Excess,
        Self::Undone,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Announced => "announced",
            Self::Failed => "failed",
            Self::Waiting => "waiting",
            Self::Applied => "applied",
            Self::Excess => "excess",
            Self::Undone => "undone",
        }
    }

    /// What is told moves a reversal only forward, so the order of telling does not show.
    fn rank(self) -> u8 {
        match self {
            Self::Announced => 0,
            Self::Failed => 1,
            Self::Waiting | Self::Applied | Self::Excess => 2,
            Self::Undone => 3,
        }
    }

    fn told(outcome: ReversalOutcome) -> Self {
        match outcome {
            ReversalOutcome::Pending => Self::Announced,
            ReversalOutcome::Failed => Self::Failed,
            ReversalOutcome::Done => Self::Waiting,
            ReversalOutcome::Undone => Self::Undone,
        }
    }

    fn money_went_back(self) -> bool {
        self.rank() == 2
    }
}

impl Reversal {
    fn change(&mut self, state: ReversalState, credited: Option<Decimal>) {
        self.state = state;
        self.credited = credited;
        if self.stored == Stored::AsItIs {
            self.stored = Stored::Otherwise;
        }
    }
}

impl Reversals {
    /// Notes one reversal event.
    pub(crate) fn tell(
        &mut self,
        event: EventId,
        merchant: MerchantId,
        provider: Provider,
        report: &ReversalReport,
        books: &mut Books,
    ) {
        let told = ReversalState::told(report.outcome);
        let same = |row: &&mut Reversal| {
            row.merchant == merchant && row.provider == provider && row.key == report.reversal_key
        };
        let Some(row) = self.rows.iter_mut().find(same) else {
            self.rows.push(Reversal {
                id: Uuid::now_v7(),
                merchant,
                provider,
                key: report.reversal_key.clone(),
                of_money_key: report.of_money_key.clone(),
                amount: report.amount,
                state: told,
                credited: None,
                payment: None,
                event,
                occurred_at: report.occurred_at,
                stored: Stored::Not,
            });
            return;
        };
        let contradiction = if row.of_money_key != report.of_money_key {
            Some(OTHER_SALE)
        } else if told.money_went_back()
            && row.state.money_went_back()
            && row.amount != report.amount
        {
            Some(OTHER_AMOUNT)
        } else {
            None
        };
        if let Some(reason) = contradiction {
            self.flagged.push(event);
            if let Some(payment) = row.payment {
                books.flag(payment, reason, event);
            }
            return;
        }
        if told.rank() <= row.state.rank() {
            return;
        }
        if row.state == ReversalState::Applied
            && let Some(payment) = row.payment
        {
            self.consequences.push(Consequence::Withdraw {
                payment,
                reversal: row.id,
                event,
            });
            if books
                .get(payment)
                .is_some_and(|payment| payment.state == PaymentState::Reversed)
            {
                // Nothing un-reverses a payment (protocol C7).
                self.flagged.push(event);
                books.flag(payment, CAME_BACK, event);
            }
        }
        if told.money_went_back() {
            row.amount = report.amount;
            row.event = event;
            row.occurred_at = report.occurred_at;
        }
        row.change(told, None);
    }

    /// Applies what waits to every sale that holds its money.
    pub(crate) fn apply(&mut self, books: &mut Books) {
        for at in 0..self.rows.len() {
            let row = &self.rows[at];
            let Some(sale) = books.by_money_key(row.merchant, row.provider, &row.of_money_key)
            else {
                continue;
            };
            let sale = sale.clone();
            if self.rows[at].payment != Some(sale.id) {
                let row = &mut self.rows[at];
                row.payment = Some(sale.id);
                row.change(row.state, row.credited);
            }
            if self.rows[at].state == ReversalState::Waiting && sale.holds_money() {
                self.apply_one(at, &sale, books);
            }
        }
    }

    fn apply_one(&mut self, at: usize, sale: &Payment, books: &mut Books) {
        let Some(total) = sale.amount else { return };
        let (event, reversal) = (self.rows[at].event, self.rows[at].id);
        if self.rows[at]
            .amount
            .is_some_and(|amount| amount.currency() != total.currency())
        {
            return self.set_aside(at, sale, OTHER_CURRENCY, books);
        }
        let left = total.amount()
            - self
                .of(sale)
                .filter_map(|row| row.credited)
                .sum::<Decimal>();
        let wanted = self.rows[at].amount.map_or(left, |amount| amount.amount());
        if wanted > left || left.is_zero() {
            // What was named in parts, whatever fitted: a whole reversal beside parts of it is no
            // excess.
            let parts = |row: &Reversal| row.amount.filter(|_| row.state.money_went_back());
            let named: Decimal = self
                .of(sale)
                .filter_map(parts)
                .map(|amount| amount.amount())
                .sum();
            if named > total.amount() {
                return self.set_aside(at, sale, TOO_MUCH, books);
            }
            return self.rows[at].change(ReversalState::Excess, None);
        }
        self.rows[at].change(ReversalState::Applied, Some(wanted));
        self.consequences.push(Consequence::CreditNote {
            payment: sale.id,
            reversal,
            amount: wanted,
            event,
        });
        if wanted == left && sale.state == PaymentState::Success {
            books.reverse(sale.id, "all of the money went back", event);
        }
    }

    /// Not credited; a person looks.
    fn set_aside(&mut self, at: usize, sale: &Payment, reason: &str, books: &mut Books) {
        let event = self.rows[at].event;
        self.rows[at].change(ReversalState::Excess, None);
        self.flagged.push(event);
        books.flag(sale.id, reason, event);
    }

    fn of<'a>(&'a self, sale: &Payment) -> impl Iterator<Item = &'a Reversal> {
        let id = sale.id;
        self.rows.iter().filter(move |row| row.payment == Some(id))
    }
}
