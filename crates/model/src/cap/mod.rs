//! The cap of calls to one KRA host, and its shares (protocol D5): etims-workers with their rows in
//! the database, their heartbeats and their calls.

mod actions;
pub mod laws;
mod mutation;
mod state;
mod steps;

use stateright::{Model, Property};

pub use actions::Action;
pub use mutation::Mutation;
pub use state::{CapState, LowerShare, Row, Waiting, Worker};

/// The rules, or a broken variant of them.
#[derive(Clone, Debug)]
pub struct CapModel {
    pub workers: usize,
    pub cap: u8,
    pub mutation: Option<Mutation>,
}

impl CapModel {
    fn is_broken_by(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }
}

impl Model for CapModel {
    type State = CapState;
    type Action = Action;

    fn init_states(&self) -> Vec<CapState> {
        vec![CapState::new(self.workers)]
    }

    fn actions(&self, state: &CapState, actions: &mut Vec<Action>) {
        for worker in 0..self.workers {
            actions.extend(self.possible_actions(state, worker));
        }
        actions.push(Action::Tick);
    }

    fn next_state(&self, state: &CapState, action: Action) -> Option<CapState> {
        let mut next = state.clone();
        self.take(&mut next, action);
        // Workers differ in name only.
        next.workers.sort_unstable();
        Some(next).filter(|next| next != state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        laws::properties()
    }
}
