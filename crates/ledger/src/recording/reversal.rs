//! One reversal, which is money that goes back, and what it does to credit notes (protocol C9).

use jiff::Timestamp;
use risiti_domain::{EventId, MerchantId, Money, PaymentId, Provider};
use risiti_providers::{ReversalKeyKind, ReversalOutcome, ReversalReport};
use rust_decimal::Decimal;
use uuid::Uuid;

/// A row of `reversals`.
#[derive(Clone)]
pub(crate) struct Reversal {
    pub(crate) id: Uuid,
    pub(crate) merchant: MerchantId,
    pub(crate) provider: Provider,
    pub(crate) key: String,
    /// Further keys by which messages have named it.
    pub(crate) other_keys: Vec<String>,
    pub(crate) of_money_key: String,
    /// The sum that goes back. `None` for the whole sale.
    pub(crate) amount: Option<Money>,
    pub(crate) state: ReversalState,
    /// What it takes of the sale, while it is applied, or while a credit note of it stands although
    /// the money is here again.
    pub(crate) credited: Option<Decimal>,
    pub(crate) payment: Option<PaymentId>,
    pub(crate) event: EventId,
    pub(crate) occurred_at: Option<Timestamp>,
    /// A person said that it is a reversal of its own. This is not stored.
    pub(crate) confirmed: bool,
    pub(crate) row: RowStatus,
}

/// How a reversal in memory differs from its row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum RowStatus {
    New,
    Unchanged,
    Changed,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ReversalState {
    Announced,
    /// It did not happen, and the money stayed.
    Failed,
    /// The money went back, and no paid sale is known yet that it belongs to.
    Waiting,
    Applied,
    /// The money went back, and no credit note follows. Nothing is left of the sale, or the
    /// currency differs.
    Excess,
    /// Part of the money went back, and nobody knows how much.
    Unstated,
    Undone,
    /// A person said that no credit note follows.
    Dismissed,
}

/// A credit note that is to be issued for a reversal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewCreditNote {
    pub(crate) payment: PaymentId,
    pub(crate) reversal: Uuid,
    pub(crate) amount: Decimal,
    pub(crate) event: EventId,
}

/// A credit note that is to be withdrawn, because the money is here after all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Withdrawal {
    pub(crate) payment: PaymentId,
    pub(crate) reversal: Uuid,
    pub(crate) credited: Option<Decimal>,
    pub(crate) event: EventId,
}

impl ReversalState {
    pub(crate) const ALL: [Self; 8] = [
        Self::Announced,
        Self::Failed,
        Self::Waiting,
        Self::Applied,
        Self::Excess,
        Self::Unstated,
        Self::Undone,
        Self::Dismissed,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Announced => "announced",
            Self::Failed => "failed",
            Self::Waiting => "waiting",
            Self::Applied => "applied",
            Self::Excess => "excess",
            Self::Unstated => "unstated",
            Self::Undone => "undone",
            Self::Dismissed => "dismissed",
        }
    }

    /// The state that a report asks for. Money that went back waits for its sale first.
    pub(crate) fn of(outcome: ReversalOutcome) -> Self {
        match outcome {
            ReversalOutcome::Pending => Self::Announced,
            ReversalOutcome::Failed => Self::Failed,
            ReversalOutcome::Done => Self::Waiting,
            ReversalOutcome::Unstated => Self::Unstated,
            ReversalOutcome::Undone => Self::Undone,
        }
    }

    /// A report moves a reversal only to a higher rank, so the order of reports does not matter. A
    /// refund that failed is final, also where it was told as done before.
    pub(crate) fn rank(self) -> u8 {
        match self {
            Self::Announced => 0,
            Self::Waiting | Self::Applied | Self::Excess | Self::Unstated => 1,
            Self::Failed | Self::Undone | Self::Dismissed => 2,
        }
    }

    pub(crate) fn money_went_back(self) -> bool {
        self.rank() == 1
    }

    /// Whether the money is here, whatever was told before.
    pub(crate) fn money_is_here(self) -> bool {
        matches!(self, Self::Failed | Self::Undone)
    }
}

impl Reversal {
    /// A reversal of which only this report is known.
    pub(crate) fn new(
        event: EventId,
        merchant: MerchantId,
        provider: Provider,
        report: &ReversalReport,
    ) -> Self {
        Self {
            id: Uuid::now_v7(),
            merchant,
            provider,
            key: report.reversal_key.clone(),
            other_keys: report.other_keys.clone(),
            of_money_key: report.of_money_key.clone(),
            amount: report.amount,
            state: ReversalState::of(report.outcome),
            credited: None,
            payment: None,
            event,
            occurred_at: report.occurred_at,
            confirmed: false,
            row: RowStatus::New,
        }
    }

    /// Whether a report is about this reversal. One dispute may be settled by several refunds, so
    /// two refunds are one only if they share a key as refunds.
    pub(crate) fn is_told_by(&self, report: &ReversalReport) -> bool {
        let shared = |key: &&str| self.keys().any(|known| known == *key);
        let is_refund = |key: &&str| ReversalKeyKind::of(key) == ReversalKeyKind::Refund;
        let mut as_refund = report.keys().filter(is_refund).peekable();
        if as_refund.peek().is_some() && self.is_a(ReversalKeyKind::Refund) {
            return as_refund.any(|key| shared(&key));
        }
        report.keys().any(|key| shared(&key))
    }

    /// Adds the keys of a report that are new.
    pub(crate) fn learn_keys(&mut self, report: &ReversalReport) {
        for key in report.keys() {
            if !self.keys().any(|known| known == key) {
                self.other_keys.push(key.to_owned());
                self.mark_changed();
            }
        }
    }

    pub(crate) fn is_a(&self, kind: ReversalKeyKind) -> bool {
        self.keys().any(|key| ReversalKeyKind::of(key) == kind)
    }

    /// Whether these may be one movement of money that is told as a dispute and as a refund,
    /// without a word that links them.
    pub(crate) fn may_be_told_as(&self, other: &Self) -> bool {
        use ReversalKeyKind::{Dispute, Refund};
        let is_only = |row: &Self, kind, not| row.is_a(kind) && !row.is_a(not);
        is_only(self, Refund, Dispute) && is_only(other, Dispute, Refund)
            || is_only(self, Dispute, Refund) && is_only(other, Refund, Dispute)
    }

    fn keys(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.key)
            .chain(&self.other_keys)
            .map(String::as_str)
    }

    fn mark_changed(&mut self) {
        if self.row == RowStatus::Unchanged {
            self.row = RowStatus::Changed;
        }
    }

    pub(crate) fn change(&mut self, state: ReversalState, credited: Option<Decimal>) {
        self.state = state;
        self.credited = credited;
        self.mark_changed();
    }
}
