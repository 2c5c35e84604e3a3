//! Tokens and leases (protocol C2, D1–D4): who gets to work a lane, and that somebody does. A step is whatever
//! happens between two points where a program can die, freeze, or be overtaken, within a statement too.

mod actions;
mod etims_worker;
pub mod laws;
mod ledger_worker;
mod mutation;
mod state;
mod wake_loop;
mod world;

pub use actions::Action;
pub use mutation::Mutation;
pub use state::{Lane, Lease, MAX, Mark, Recorder, Set, State, Task, Waker};

use stateright::{Model, Property};

use crate::calm::{Calm, Settling};

/// As many faults as there may be.
pub const ALWAYS: u8 = u8::MAX;
/// Tokens one lane may have in the queue; of more, its head is dropped (protocol B2).
const QUEUED_MAX: u8 = 2;
/// Invoices a task files before it lets go (protocol D4).
const QUANTUM: u8 = 1;

/// The protocol at a size, or a broken variant of it.
#[derive(Clone, Debug)]
pub struct Token {
    pub lanes: u8,
    /// Paid sales of each lane.
    pub payments: u8,
    pub recorders: u8,
    pub tasks: u8,
    pub wakers: u8,
    /// How often something may go wrong; [`ALWAYS`] is any number.
    pub faults: u8,
    /// Statements come one after another, as they rarely fail to.
    pub in_turn: bool,
    pub mutation: Option<Mutation>,
    settling: Settling,
}

impl Token {
    /// Two of each program.
    pub fn new(lanes: u8, payments: u8, faults: u8) -> Self {
        Self {
            lanes,
            payments,
            recorders: 2,
            tasks: 2,
            wakers: 2,
            faults,
            in_turn: false,
            mutation: None,
            settling: Settling::default(),
        }
    }

    #[must_use]
    pub fn of(self, recorders: u8, tasks: u8, wakers: u8) -> Self {
        Self {
            recorders,
            tasks,
            wakers,
            ..self
        }
    }

    #[must_use]
    pub fn in_turn(self) -> Self {
        Self {
            in_turn: true,
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
        for r in 0..self.recorders {
            self.recorder_actions(state, r, calm, actions);
        }
        for w in 0..self.tasks {
            self.task_actions(state, w, calm, actions);
        }
        if !self.is(Mutation::NoWakeLoop) {
            for v in 0..self.wakers {
                self.waker_actions(state, v, calm, actions);
            }
        }
        self.world_actions(state, calm, actions);
        if self.in_turn {
            self.ends_statement(state, actions);
        }
    }

    fn calm_actions(&self, state: &State) -> Vec<Action> {
        let mut actions = Vec::new();
        self.possible(state, true, &mut actions);
        actions
    }

    fn after(&self, state: &State, action: Action) -> State {
        let mut next = *state;
        if !matches!(state.faults, 0 | ALWAYS) && !self.calm_actions(state).contains(&action) {
            next.faults -= 1;
        }
        if !self.recorder(&mut next, action)
            && !self.task(&mut next, action)
            && !self.waker(&mut next, action)
        {
            self.world(&mut next, action);
        }
        next.surplus |= (0..self.lanes).any(|l| laws::surplus(state, action, &next, l));
        next.forget(self.lanes);
        next
    }

    /// Amid a statement nothing but its end may come.
    fn ends_statement(&self, state: &State, actions: &mut Vec<Action>) {
        let marking = |r: u8| matches!(state.recorders[usize::from(r)], Recorder::Marking(_));
        let releasing = |w: u8| matches!(state.tasks[usize::from(w)], Task::Releasing(..));
        let ends = |action: &Action| match action {
            Action::Mark(r) => marking(*r),
            Action::Release(w) => releasing(*w) && !self.is(Mutation::ReleaseInTwoStatements),
            Action::WakeMark(_) => true,
            _ => false,
        };
        if actions.iter().any(ends) {
            actions.retain(ends);
        }
    }
}

impl Model for Token {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(self.lanes, self.payments, self.faults)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.possible(state, state.faults == 0, actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        Some(self.after(state, action)).filter(|next| next != state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        laws::properties(self)
    }
}

impl Calm for Token {
    type State = State;

    fn calm_successors(&self, state: &State) -> Vec<State> {
        self.calm_actions(state)
            .into_iter()
            .map(|action| self.after(state, action))
            .collect()
    }

    fn settled(&self, state: &State) -> bool {
        laws::settled(state)
    }
}
