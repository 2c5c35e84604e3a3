//! A webhook to one event and one invoice (protocol A1, A2, B2, C2): two ingress replicas, a broker, a spool, ledger
//! workers.

mod actions;

pub use actions::Action;

use stateright::{Model, Property};

use crate::calm::{Calm, Settling};

pub const KEPT: &str = "what was answered 200 is in the queue, the spool or the books";
pub const ONCE: &str = "one event and one invoice, however often it was told";
pub const SETTLES: &str = "once faults stop, all is recorded and nothing waits";

/// Ways to break the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// The key is remembered before the message is durable (against A2).
    MarkBeforeConfirm,
    /// 200 before the message is durable (against A1).
    AnswerBeforeConfirm,
    /// The queue's message is acknowledged before the commit (against C2).
    AckBeforeCommit,
    /// The books take every message for news (against C2).
    NoUniqueKey,
}

/// Where one delivery of the webhook stands in a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Task {
    None,
    /// The key is looked for.
    Looking,
    /// Published, its confirm not seen; it may be stored or not.
    Publishing,
    /// Durable, the key not remembered yet.
    Durable,
    /// Remembered, not answered.
    Remembered,
}

/// Where a ledger worker stands with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Worker {
    Idle,
    Took,
    Committed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// How often the sender may still tell it.
    pub sends: u8,
    pub tasks: [Task; 2],
    /// Keys in the memory of each replica, and in Redis.
    pub memory: [bool; 2],
    pub redis: bool,
    pub answered: bool,
    pub spooled: u8,
    pub queued: u8,
    pub workers: [Worker; 2],
    pub events: u8,
    pub invoices: u8,
}

/// The protocol, or a broken variant of it.
#[derive(Clone, Debug)]
pub struct Acknowledge {
    pub sends: u8,
    pub mutation: Option<Mutation>,
    settling: Settling,
}

impl Acknowledge {
    pub fn new(sends: u8, mutation: Option<Mutation>) -> Self {
        Self {
            sends,
            mutation,
            settling: Settling::default(),
        }
    }

    fn is(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    fn possible(&self, state: &State, calm: bool, actions: &mut Vec<Action>) {
        for r in 0..2 {
            self.replica(state, r, calm, actions);
        }
        if state.spooled > 0 {
            actions.push(Action::Drain);
            if !calm {
                actions.push(Action::DrainTwice);
            }
        }
        for w in 0..2 {
            match state.workers[w] {
                Worker::Idle if state.queued > 0 => actions.push(Action::Take(w)),
                Worker::Idle => {}
                Worker::Took => actions.push(Action::Commit(w)),
                Worker::Committed => actions.push(Action::Ack(w)),
            }
            if !calm && state.workers[w] != Worker::Idle {
                actions.push(Action::WorkerDies(w));
            }
        }
    }

    fn replica(&self, state: &State, r: usize, calm: bool, actions: &mut Vec<Action>) {
        match state.tasks[r] {
            Task::None if !calm && state.sends > 0 => actions.push(Action::Deliver(r)),
            Task::None => {}
            Task::Looking => actions.push(Action::Look(r)),
            Task::Publishing => {
                actions.push(Action::Confirmed(r));
                if !calm {
                    actions.extend([
                        Action::StoredUnconfirmed(r),
                        Action::Refused(r),
                        Action::Spool(r),
                        Action::SpoolStored(r),
                    ]);
                }
            }
            Task::Durable => actions.push(Action::Remember(r)),
            Task::Remembered => actions.push(Action::Answer(r)),
        }
        if !calm {
            actions.push(Action::ReplicaDies(r));
            if state.redis || state.memory[r] {
                actions.push(Action::Forget(r));
            }
        }
    }

    fn after(&self, state: &State, action: Action) -> State {
        let mut next = *state;
        match action {
            Action::Deliver(r) => {
                next.sends -= 1;
                next.tasks[r] = Task::Looking;
                next.answered |= self.is(Mutation::AnswerBeforeConfirm);
            }
            Action::Look(r) => self.look(&mut next, r),
            Action::Confirmed(r) => {
                next.queue();
                next.tasks[r] = Task::Durable;
            }
            Action::StoredUnconfirmed(r) => {
                next.queue();
                next.tasks[r] = Task::None;
            }
            Action::Refused(r) => next.tasks[r] = Task::None,
            Action::Spool(r) => {
                next.spooled += 1;
                next.tasks[r] = Task::Durable;
            }
            Action::SpoolStored(r) => {
                next.queue();
                next.spooled += 1;
                next.tasks[r] = Task::Durable;
            }
            Action::Remember(r) => {
                (next.memory[r], next.redis) = (true, true);
                next.tasks[r] = Task::Remembered;
            }
            Action::Answer(r) => {
                next.answered = true;
                next.tasks[r] = Task::None;
            }
            Action::Drain => {
                next.queue();
                next.spooled -= 1;
            }
            Action::DrainTwice => next.queue(),
            Action::Take(w) => {
                next.workers[w] = Worker::Took;
                if self.is(Mutation::AckBeforeCommit) {
                    next.queued -= 1;
                }
            }
            Action::Commit(w) => {
                let news = next.events == 0 || self.is(Mutation::NoUniqueKey);
                next.events += u8::from(news);
                next.invoices += u8::from(news);
                next.workers[w] = Worker::Committed;
            }
            Action::Ack(w) => {
                if !self.is(Mutation::AckBeforeCommit) {
                    next.queued -= 1;
                }
                next.workers[w] = Worker::Idle;
            }
            Action::ReplicaDies(r) => (next.tasks[r], next.memory[r]) = (Task::None, false),
            Action::WorkerDies(w) => next.workers[w] = Worker::Idle,
            Action::Forget(r) => (next.memory[r], next.redis) = (false, false),
        }
        next
    }

    fn look(&self, state: &mut State, r: usize) {
        if state.memory[r] || state.redis {
            state.memory[r] = true;
            state.tasks[r] = Task::Remembered;
            return;
        }
        state.tasks[r] = Task::Publishing;
        if self.is(Mutation::MarkBeforeConfirm) {
            (state.memory[r], state.redis) = (true, true);
        }
    }
}

impl State {
    fn queue(&mut self) {
        self.queued += 1;
    }

    /// Messages that no worker has in hand.
    fn free(&self) -> usize {
        let held = self
            .workers
            .iter()
            .filter(|worker| **worker != Worker::Idle)
            .count();
        usize::from(self.queued).saturating_sub(held)
    }

    fn settled(&self) -> bool {
        let idle = self.tasks == [Task::None; 2] && self.workers == [Worker::Idle; 2];
        idle && self.queued == 0
            && self.spooled == 0
            && (!self.answered || (self.events, self.invoices) == (1, 1))
    }
}

impl Model for Acknowledge {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            sends: self.sends,
            tasks: [Task::None; 2],
            memory: [false; 2],
            redis: false,
            answered: false,
            spooled: 0,
            queued: 0,
            workers: [Worker::Idle; 2],
            events: 0,
            invoices: 0,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.possible(state, false, actions);
        let room = usize::from(self.sends) + 1;
        // A worker takes a message that nobody has in hand; copies are bounded so that the states are.
        actions.retain(|action| match action {
            Action::Take(_) => self.is(Mutation::AckBeforeCommit) || state.free() > 0,
            Action::DrainTwice => usize::from(state.queued) < room,
            _ => true,
        });
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        Some(self.after(state, action)).filter(|next| next != state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(KEPT, |_: &Self, state: &State| {
                !state.answered || state.queued > 0 || state.spooled > 0 || state.events > 0
            }),
            Property::always(ONCE, |_, state: &State| {
                state.events <= 1 && state.invoices <= 1
            }),
            Property::always(SETTLES, |model: &Self, state: &State| {
                model.settling.always_settles(model, state)
            }),
            Property::sometimes("two replicas publish one webhook", |_, state: &State| {
                state.tasks == [Task::Publishing; 2]
            }),
            Property::sometimes("two workers record one webhook", |_, state: &State| {
                state.workers == [Worker::Took; 2]
            }),
            Property::sometimes("a recorded webhook is queued again", |_, state: &State| {
                state.events == 1 && state.free() > 0
            }),
        ]
    }
}

impl Calm for Acknowledge {
    type State = State;

    fn calm_successors(&self, state: &State) -> Vec<State> {
        let mut actions = Vec::new();
        self.possible(state, true, &mut actions);
        let free = self.is(Mutation::AckBeforeCommit) || state.free() > 0;
        actions.retain(|action| free || !matches!(action, Action::Take(_)));
        actions
            .into_iter()
            .map(|action| self.after(state, action))
            .collect()
    }

    fn settled(&self, state: &State) -> bool {
        state.settled()
    }
}
