//! How the invoices of one lane get to KRA (protocol D, E). A step is whatever happens between two
//! points where a program can die, freeze, or be overtaken.

mod actions;
mod actor;
mod adoption;
mod credit_note;
mod dead_letter;
mod decide;
mod invoice;
mod kra;
pub mod laws;
mod mutation;
mod operator;
mod outcome;
mod phase;
mod reached;
mod state;
mod worker;

use stateright::{Model, Property};

use crate::settling::{FaultFree, SettlingCheck};
use actor::Actor;

pub use actions::Action;
pub use invoice::{CreditNote, Invoice, InvoiceState, LateLookUp, Numbers};
pub use mutation::Mutation;
pub use phase::{Answer, LateLookUpPlan, Phase, Plan};
pub use state::{LaneModelState, MAX, WORKERS};

/// The lane protocol over a number of invoices, or a broken variant of it.
#[derive(Clone, Debug)]
pub struct LaneModel {
    /// How many invoices there are, the credit note among them.
    pub invoices: u8,
    pub workers: u8,
    /// How often a lease is taken from a worker that lives, frozen or cut off, and thaws later.
    pub takeovers: u8,
    /// How often our database is restored to an earlier point.
    pub restores: u8,
    /// Whether the last invoice is a credit note of the first.
    pub has_credit_note: bool,
    pub mutation: Option<Mutation>,
    settling: SettlingCheck,
}

impl LaneModel {
    pub fn new(invoices: u8, workers: u8, takeovers: u8) -> Self {
        Self {
            invoices,
            workers,
            takeovers,
            restores: 0,
            has_credit_note: false,
            mutation: None,
            settling: SettlingCheck::default(),
        }
    }

    #[must_use]
    pub fn with_credit_note(self) -> Self {
        Self {
            has_credit_note: true,
            ..self
        }
    }

    #[must_use]
    pub fn with_restore(self) -> Self {
        Self {
            restores: 1,
            ..self
        }
    }

    #[must_use]
    pub fn broken_by(self, mutation: Mutation) -> Self {
        Self {
            mutation: Some(mutation),
            settling: SettlingCheck::default(),
            ..self
        }
    }

    fn is_broken_by(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    fn possible_actions(&self, state: &LaneModelState, with_faults: bool) -> Vec<Action> {
        let mut actions = Vec::new();
        for w in 0..self.workers {
            self.worker_actions(state, w, with_faults, &mut actions);
        }
        self.world_actions(state, with_faults, &mut actions);
        if with_faults {
            self.operator_actions(state, &mut actions);
        }
        actions
    }

    fn after(&self, state: &LaneModelState, action: Action) -> LaneModelState {
        let mut next = state.clone();
        match action.actor() {
            Actor::Worker(w) => self.worker_step(&mut next, w, action),
            Actor::Reversal => self.reversal_step(&mut next, action),
            Actor::World => self.world_step(&mut next, action),
            Actor::Operator => self.operator_step(&mut next, action),
        }
        next.normalise();
        next
    }
}

impl Model for LaneModel {
    type State = LaneModelState;
    type Action = Action;

    fn init_states(&self) -> Vec<LaneModelState> {
        let mut state = LaneModelState::new(self.takeovers, self.restores);
        state.credit_notes_first = self.is_broken_by(Mutation::CreditNoteBeforeSale);
        if self.has_credit_note {
            state.invoice_mut(self.invoices - 1).credit_note = Some(CreditNote::default());
        }
        vec![state]
    }

    fn actions(&self, state: &LaneModelState, actions: &mut Vec<Action>) {
        actions.extend(self.possible_actions(state, true));
    }

    fn next_state(&self, state: &LaneModelState, action: Action) -> Option<LaneModelState> {
        Some(self.after(state, action))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        laws::properties(self)
    }
}

impl FaultFree for LaneModel {
    type State = LaneModelState;

    fn fault_free_successors(&self, state: &LaneModelState) -> Vec<LaneModelState> {
        self.possible_actions(state, false)
            .into_iter()
            .map(|action| self.after(state, action))
            .collect()
    }

    fn is_settled(&self, state: &LaneModelState) -> bool {
        laws::is_settled(state)
    }
}
