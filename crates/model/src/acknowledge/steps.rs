//! Which steps are possible in a state, and what each of them changes.

use super::{AcknowledgeModel, AcknowledgeState, Action, Delivery, LedgerWorker, Mutation};

impl AcknowledgeModel {
    pub(super) fn possible_actions(
        &self,
        state: &AcknowledgeState,
        with_faults: bool,
    ) -> Vec<Action> {
        let mut actions = Vec::new();
        for replica in 0..2 {
            replica_actions(state, replica, with_faults, &mut actions);
        }
        if state.spooled > 0 {
            actions.push(Action::Drain);
            if with_faults {
                actions.push(Action::DrainTwice);
            }
        }
        for worker in 0..2 {
            self.worker_actions(state, worker, with_faults, &mut actions);
        }
        actions
    }

    fn worker_actions(
        &self,
        state: &AcknowledgeState,
        w: usize,
        with_faults: bool,
        actions: &mut Vec<Action>,
    ) {
        match state.workers[w] {
            LedgerWorker::Idle => {
                // A message that somebody has taken is in the queue until its acknowledgement. With
                // this mutation it has left the queue, so that all queued ones are ready.
                let acked_early = self.is_broken_by(Mutation::AckBeforeCommit);
                if state.queued > 0 && (acked_early || state.ready() > 0) {
                    actions.push(Action::Take(w));
                }
            }
            LedgerWorker::Took => actions.push(Action::Commit(w)),
            LedgerWorker::Committed => actions.push(Action::Ack(w)),
        }
        if with_faults && state.workers[w] != LedgerWorker::Idle {
            actions.push(Action::WorkerDies(w));
        }
    }

    pub(super) fn after(&self, state: &AcknowledgeState, action: Action) -> AcknowledgeState {
        let mut next = *state;
        match action {
            Action::Deliver(r) => {
                next.sends -= 1;
                next.deliveries[r] = Delivery::Looking;
                next.answered |= self.is_broken_by(Mutation::AnswerBeforeConfirm);
            }
            Action::Look(r) => self.look_for_key(&mut next, r),
            Action::Confirmed(r) => {
                next.queued += 1;
                next.deliveries[r] = Delivery::Queued;
            }
            Action::StoredUnconfirmed(r) => {
                next.queued += 1;
                next.deliveries[r] = Delivery::None;
            }
            Action::Refused(r) => next.deliveries[r] = Delivery::None,
            Action::Spool(r) => {
                next.spooled += 1;
                next.deliveries[r] = Delivery::Spooled;
            }
            Action::SpoolStored(r) => {
                next.queued += 1;
                next.spooled += 1;
                next.deliveries[r] = Delivery::Spooled;
            }
            Action::ConfirmedBesideSpool(r) => {
                next.queued += 1;
                next.spooled += 1;
                next.deliveries[r] = Delivery::Queued;
            }
            Action::Remember(r) => {
                let in_queue = next.deliveries[r] == Delivery::Queued;
                next.memory[r] = true;
                next.deliveries[r] = Delivery::Remembered { in_queue };
            }
            Action::Answer(r) => {
                let in_queue = next.deliveries[r] == Delivery::Remembered { in_queue: true };
                next.answered = true;
                next.deliveries[r] = if in_queue {
                    Delivery::Unmarked
                } else {
                    Delivery::None
                };
            }
            Action::Mark(r) => {
                next.redis = true;
                next.deliveries[r] = Delivery::None;
            }
            Action::MarkLost(r) => next.deliveries[r] = Delivery::None,
            Action::ReplicaDies(r) => {
                next.memory[r] = false;
                next.deliveries[r] = Delivery::None;
            }
            Action::Forget(r) => {
                next.memory[r] = false;
                next.redis = false;
            }
            Action::Drain => {
                next.queued += 1;
                next.spooled -= 1;
            }
            Action::DrainTwice => next.queued += 1,
            Action::Take(_) | Action::Commit(_) | Action::Ack(_) | Action::WorkerDies(_) => {
                self.ledger_worker_step(&mut next, action);
            }
        }
        next
    }

    fn ledger_worker_step(&self, state: &mut AcknowledgeState, action: Action) {
        match action {
            Action::Take(w) => {
                state.workers[w] = LedgerWorker::Took;
                if self.is_broken_by(Mutation::AckBeforeCommit) {
                    state.queued -= 1;
                }
            }
            Action::Commit(w) => {
                let is_new = state.events == 0 || self.is_broken_by(Mutation::NoUniqueKey);
                state.events += u8::from(is_new);
                state.invoices += u8::from(is_new);
                state.workers[w] = LedgerWorker::Committed;
            }
            Action::Ack(w) => {
                if !self.is_broken_by(Mutation::AckBeforeCommit) {
                    state.queued -= 1;
                }
                state.workers[w] = LedgerWorker::Idle;
            }
            Action::WorkerDies(w) => state.workers[w] = LedgerWorker::Idle,
            _ => {}
        }
    }

    fn look_for_key(&self, state: &mut AcknowledgeState, r: usize) {
        if state.memory[r] || state.redis {
            state.memory[r] = true;
            state.deliveries[r] = Delivery::Remembered { in_queue: false };
            return;
        }
        state.deliveries[r] = Delivery::Publishing;
        if self.is_broken_by(Mutation::RememberBeforeConfirm) {
            state.memory[r] = true;
            state.redis = true;
        }
    }
}

fn replica_actions(
    state: &AcknowledgeState,
    r: usize,
    with_faults: bool,
    actions: &mut Vec<Action>,
) {
    match state.deliveries[r] {
        Delivery::None if with_faults && state.sends > 0 => actions.push(Action::Deliver(r)),
        Delivery::None => {}
        Delivery::Looking => actions.push(Action::Look(r)),
        Delivery::Publishing => {
            actions.push(Action::Confirmed(r));
            if with_faults {
                actions.extend([
                    Action::StoredUnconfirmed(r),
                    Action::Refused(r),
                    Action::Spool(r),
                    Action::SpoolStored(r),
                    Action::ConfirmedBesideSpool(r),
                ]);
            }
        }
        Delivery::Queued | Delivery::Spooled => actions.push(Action::Remember(r)),
        Delivery::Remembered { .. } => actions.push(Action::Answer(r)),
        Delivery::Unmarked => {
            actions.push(Action::Mark(r));
            if with_faults {
                actions.push(Action::MarkLost(r));
            }
        }
    }
    if with_faults {
        actions.push(Action::ReplicaDies(r));
        if state.redis || state.memory[r] {
            actions.push(Action::Forget(r));
        }
    }
}
