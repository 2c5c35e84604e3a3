//! The way of a webhook to one event and one invoice (protocol A1, A2, B2, C2): two ingress
//! replicas, a broker, a spool and ledger workers.

mod actions;
pub mod laws;
mod mutation;
mod state;
mod steps;

use stateright::{Model, Property};

use crate::settling::{FaultFree, SettlingCheck};

pub use actions::Action;
pub use mutation::Mutation;
pub use state::{AcknowledgeState, Delivery, LedgerWorker};

/// The protocol, or a broken variant of it.
#[derive(Clone, Debug)]
pub struct AcknowledgeModel {
    /// How often the provider sends the webhook.
    pub sends: u8,
    pub mutation: Option<Mutation>,
    settling: SettlingCheck,
}

impl AcknowledgeModel {
    pub fn new(sends: u8, mutation: Option<Mutation>) -> Self {
        Self {
            sends,
            mutation,
            settling: SettlingCheck::default(),
        }
    }

    fn is_broken_by(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }
}

impl Model for AcknowledgeModel {
    type State = AcknowledgeState;
    type Action = Action;

    fn init_states(&self) -> Vec<AcknowledgeState> {
        vec![AcknowledgeState::new(self.sends)]
    }

    fn actions(&self, state: &AcknowledgeState, actions: &mut Vec<Action>) {
        actions.extend(self.possible_actions(state, true));
        // Copies of the message are bounded so that the number of states is.
        let copies_max = usize::from(self.sends) + 1;
        let may_copy = usize::from(state.queued) < copies_max;
        actions.retain(|action| may_copy || *action != Action::DrainTwice);
    }

    fn next_state(&self, state: &AcknowledgeState, action: Action) -> Option<AcknowledgeState> {
        Some(self.after(state, action)).filter(|next| next != state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        laws::properties()
    }
}

impl FaultFree for AcknowledgeModel {
    type State = AcknowledgeState;

    fn fault_free_successors(&self, state: &AcknowledgeState) -> Vec<AcknowledgeState> {
        self.possible_actions(state, false)
            .into_iter()
            .map(|action| self.after(state, action))
            .collect()
    }

    fn is_settled(&self, state: &AcknowledgeState) -> bool {
        state.is_settled()
    }
}
