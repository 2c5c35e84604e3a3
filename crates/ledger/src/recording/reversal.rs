//! One reversal, which is money that goes back, and what it does to credit notes (protocol C9).

use jiff::Timestamp;
use risiti_domain::{EventId, MerchantId, Money, PaymentId, Provider};
use risiti_providers::ReversalOutcome;
use rust_decimal::Decimal;
use uuid::Uuid;

/// A row of `reversals`.
#[derive(Clone)]
pub(crate) struct Reversal {
    pub(crate) id: Uuid,
    pub(crate) merchant: MerchantId,
    pub(crate) provider: Provider,
    pub(crate) key: String,
    pub(crate) of_money_key: String,
    /// The sum that goes back. `None` for the whole sale.
    pub(crate) amount: Option<Money>,
    pub(crate) state: ReversalState,
    /// What it takes of the sale, while it is applied.
    pub(crate) credited: Option<Decimal>,
    pub(crate) payment: Option<PaymentId>,
    pub(crate) event: EventId,
    pub(crate) occurred_at: Option<Timestamp>,
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
    Failed,
    /// The money went back, and no paid sale is known yet that it belongs to.
    Waiting,
    Applied,
    /// The money went back, and no credit note follows. Nothing is left of the sale, or the
    /// currency differs.
    Excess,
    Undone,
}

/// What a reversal asks of the credit notes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CreditNoteChange {
    Issue {
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

impl CreditNoteChange {
    pub(crate) fn event(&self) -> EventId {
        match self {
            Self::Issue { event, .. } | Self::Withdraw { event, .. } => *event,
        }
    }
}

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

    /// The state that a report asks for. Money that went back waits for its sale first.
    pub(crate) fn of(outcome: ReversalOutcome) -> Self {
        match outcome {
            ReversalOutcome::Pending => Self::Announced,
            ReversalOutcome::Failed => Self::Failed,
            ReversalOutcome::Done => Self::Waiting,
            ReversalOutcome::Undone => Self::Undone,
        }
    }

    /// A report moves a reversal only to a higher rank, so the order of reports does not matter.
    pub(crate) fn rank(self) -> u8 {
        match self {
            Self::Announced => 0,
            Self::Failed => 1,
            Self::Waiting | Self::Applied | Self::Excess => 2,
            Self::Undone => 3,
        }
    }

    pub(crate) fn money_went_back(self) -> bool {
        self.rank() == 2
    }
}

impl Reversal {
    pub(crate) fn change(&mut self, state: ReversalState, credited: Option<Decimal>) {
        self.state = state;
        self.credited = credited;
        if self.row == RowStatus::Unchanged {
            self.row = RowStatus::Changed;
        }
    }
}
