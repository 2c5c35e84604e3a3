//! Invoices to KRA, one lane (protocol D, E): a step is whatever happens between two points where a program can
//! die, freeze, or be overtaken.

mod actions;
mod credit_note;
mod kra;
pub mod laws;
mod mutation;
mod operator;
mod outcome;
mod state;
mod worker;

pub use actions::Action;
pub use mutation::Mutation;
pub use state::{
    Answer, Invoice, Late, LookUp, MAX, Note, Numbers, Phase, Plan, Standing, State, WORKERS,
};

use stateright::{Model, Property};

use crate::calm::{Calm, Settling};

/// The lane protocol over a number of sales, or a broken variant of it.
#[derive(Clone, Debug)]
pub struct Lane {
    /// And the credit note, if there is one.
    pub sales: u8,
    pub workers: u8,
    /// How often a lease is taken from a worker that lives, frozen or cut off, and thaws later.
    pub takeovers: u8,
    /// The last invoice is a credit note of the first.
    pub credit_note: bool,
    pub mutation: Option<Mutation>,
    settling: Settling,
}

impl Lane {
    pub fn new(sales: u8, workers: u8, takeovers: u8) -> Self {
        Self {
            sales,
            workers,
            takeovers,
            credit_note: false,
            mutation: None,
            settling: Settling::default(),
        }
    }

    #[must_use]
    pub fn with_credit_note(self) -> Self {
        Self {
            credit_note: true,
            ..self
        }
    }

    #[must_use]
    pub fn broken(self, mutation: Mutation) -> Self {
        Self {
            mutation: Some(mutation),
            settling: Settling::default(),
            ..self
        }
    }

    fn is(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    fn possible(&self, state: &State, calm: bool, actions: &mut Vec<Action>) {
        for w in 0..self.workers {
            self.worker_actions(state, w, calm, actions);
        }
        self.world_actions(state, calm, actions);
        if !calm {
            self.operator_actions(state, actions);
        }
    }

    fn after(&self, state: &State, action: Action) -> State {
        let mut next = state.clone();
        let noted = self.credit_note(&mut next, action);
        if !noted && !self.world(&mut next, action) && !self.operator(&mut next, action) {
            self.worker(&mut next, action);
        }
        next.forget();
        next
    }
}

impl Model for Lane {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let mut state = State::new(self.takeovers);
        state.notes_first = self.is(Mutation::CreditNoteBeforeSale);
        if self.credit_note {
            state.invoices[usize::from(self.sales - 1)].note = Some(Note::default());
        }
        vec![state]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.possible(state, false, actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        Some(self.after(state, action))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        laws::properties(self)
    }
}

impl Calm for Lane {
    type State = State;

    fn calm_successors(&self, state: &State) -> Vec<State> {
        let mut actions = Vec::new();
        self.possible(state, true, &mut actions);
        actions
            .into_iter()
            .map(|action| self.after(state, action))
            .collect()
    }

    fn settled(&self, state: &State) -> bool {
        laws::settled(state)
    }
}
