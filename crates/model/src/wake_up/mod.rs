//! Wake-ups and leases (protocol C2, D1–D4): who gets to work a lane, and that somebody does. A
//! step is whatever happens between two points where a program can die, freeze, or be overtaken,
//! also within a statement.

mod actions;
mod actor;
mod etims_worker;
pub mod laws;
mod ledger_worker;
mod mutation;
mod programs;
mod reached;
mod state;
mod symmetry;
mod wake_loop;
mod world;

use stateright::{Model, Property};

use crate::settling::{FaultFree, SettlingCheck};
use actor::Actor;

pub use actions::Action;
pub use mutation::Mutation;
pub use programs::{EtimsTask, LaneSet, LedgerWorker, WakeLoop};
pub use state::{LaneRow, Lease, MAX, Mark, WakeUpState};

/// Any number of faults.
pub const ALWAYS: u8 = u8::MAX;
/// Invoices a task files in a turn (protocol D4).
const TURN_INVOICES: u8 = 1;

/// The protocol at a size, or a broken variant of it.
#[derive(Clone, Debug)]
pub struct WakeUpModel {
    pub lanes: u8,
    /// Paid sales of each lane.
    pub sales: u8,
    pub ledger_workers: u8,
    /// Tasks of etims-workers.
    pub tasks: u8,
    pub wake_loops: u8,
    /// How often something may go wrong. [`ALWAYS`] is any number.
    pub faults: u8,
    /// Whether statements never overlap. They rarely do.
    pub sequential: bool,
    pub mutation: Option<Mutation>,
    settling: SettlingCheck,
}

impl WakeUpModel {
    /// A model with two of each program.
    pub fn new(lanes: u8, sales: u8, faults: u8) -> Self {
        Self {
            lanes,
            sales,
            ledger_workers: 2,
            tasks: 2,
            wake_loops: 2,
            faults,
            sequential: false,
            mutation: None,
            settling: SettlingCheck::default(),
        }
    }

    #[must_use]
    pub fn with_programs(self, ledger_workers: u8, tasks: u8, wake_loops: u8) -> Self {
        Self {
            ledger_workers,
            tasks,
            wake_loops,
            ..self
        }
    }

    #[must_use]
    pub fn sequential(self) -> Self {
        Self {
            sequential: true,
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

    fn possible_actions(&self, state: &WakeUpState, with_faults: bool) -> Vec<Action> {
        let mut actions = Vec::new();
        for r in 0..self.ledger_workers {
            self.ledger_worker_actions(state, r, with_faults, &mut actions);
        }
        for w in 0..self.tasks {
            self.task_actions(state, w, with_faults, &mut actions);
        }
        if !self.is_broken_by(Mutation::NoWakeLoop) {
            for v in 0..self.wake_loops {
                self.wake_loop_actions(state, v, with_faults, &mut actions);
            }
        }
        self.world_actions(state, with_faults, &mut actions);
        if self.sequential {
            self.finish_statement_first(state, &mut actions);
        }
        actions
    }

    /// In the middle of a statement only its end may come next.
    fn finish_statement_first(&self, state: &WakeUpState, actions: &mut Vec<Action>) {
        let ends_statement = |action: &Action| match *action {
            Action::MarkLane(r) => {
                let worker = state.ledger_workers[usize::from(r)];
                matches!(worker, LedgerWorker::Marking(_))
            }
            Action::Release(w) => {
                let task = state.tasks[usize::from(w)];
                matches!(task, EtimsTask::Releasing(..))
                    && !self.is_broken_by(Mutation::ReleaseInTwoStatements)
            }
            Action::WakeMark(_) => true,
            _ => false,
        };
        if actions.iter().any(ends_statement) {
            actions.retain(ends_statement);
        }
    }

    fn after(&self, state: &WakeUpState, action: Action) -> WakeUpState {
        let mut next = *state;
        // What can happen without faults is none.
        let counts_faults = !matches!(state.faults, 0 | ALWAYS);
        if counts_faults && !self.possible_actions(state, false).contains(&action) {
            next.faults -= 1;
        }
        match action.actor() {
            Actor::LedgerWorker(r) => self.ledger_worker_step(&mut next, r, action),
            Actor::EtimsTask(w) => self.task_step(&mut next, w, action),
            Actor::WakeLoop(v) => self.wake_loop_step(&mut next, v, action),
            Actor::World => self.world_step(&mut next, action),
        }
        next.has_surplus |= (0..self.lanes).any(|l| laws::brings_surplus(state, action, &next, l));
        next.normalise(self.lanes);
        next
    }
}

impl Model for WakeUpModel {
    type State = WakeUpState;
    type Action = Action;

    fn init_states(&self) -> Vec<WakeUpState> {
        vec![WakeUpState::new(self.lanes, self.sales, self.faults)]
    }

    fn actions(&self, state: &WakeUpState, actions: &mut Vec<Action>) {
        actions.extend(self.possible_actions(state, state.faults > 0));
    }

    fn next_state(&self, state: &WakeUpState, action: Action) -> Option<WakeUpState> {
        Some(self.after(state, action)).filter(|next| next != state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        laws::properties(self)
    }
}

impl FaultFree for WakeUpModel {
    type State = WakeUpState;

    fn fault_free_successors(&self, state: &WakeUpState) -> Vec<WakeUpState> {
        self.possible_actions(state, false)
            .into_iter()
            .map(|action| self.after(state, action))
            .collect()
    }

    fn is_settled(&self, state: &WakeUpState) -> bool {
        laws::is_settled(state)
    }
}
