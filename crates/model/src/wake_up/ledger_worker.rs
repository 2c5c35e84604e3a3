//! A ledger worker: commit, then wake-up, then acknowledgement (protocol C2).

use super::{Action, LaneRow, LedgerWorker, Mark, Mutation, WakeUpModel, WakeUpState};

impl WakeUpModel {
    pub(super) fn ledger_worker_actions(
        &self,
        state: &WakeUpState,
        r: u8,
        with_faults: bool,
        actions: &mut Vec<Action>,
    ) {
        let worker = state.ledger_workers[usize::from(r)];
        if with_faults && worker != LedgerWorker::Idle {
            actions.push(Action::CrashLedgerWorker(r));
        }
        match worker {
            LedgerWorker::Idle => {
                for l in 0..self.lanes {
                    if state.lane(l).new_payments > 0 {
                        actions.push(Action::TakePayment(r, l, false));
                    }
                    if state.lane(l).repeated_payments > 0 {
                        actions.push(Action::TakePayment(r, l, true));
                    }
                }
            }
            LedgerWorker::Took { .. } if self.is_broken_by(Mutation::WakeUpBeforeCommit) => {
                actions.push(Action::MarkSnapshot(r));
            }
            LedgerWorker::Took { .. } | LedgerWorker::Uncommitted(_) => {
                actions.push(Action::Commit(r));
            }
            LedgerWorker::Committed(_) => actions.push(Action::MarkSnapshot(r)),
            LedgerWorker::Marking(lane) => {
                actions.push(Action::MarkLane(r));
                if state.is_row_busy(lane) {
                    actions.push(Action::SkipLane(r));
                }
            }
            LedgerWorker::Marked(_) => {
                actions.push(Action::Publish(r));
                if with_faults {
                    actions.extend([Action::PublishUnconfirmed(r), Action::PublishRefused(r)]);
                }
            }
            LedgerWorker::Unmarking(_) => actions.push(Action::Unmark(r)),
            LedgerWorker::Done(_) => actions.push(Action::AckPayment(r)),
        }
    }

    pub(super) fn ledger_worker_step(&self, state: &mut WakeUpState, r: u8, action: Action) {
        let worker = state.ledger_workers[usize::from(r)];
        let l = worker.lane().unwrap_or_default();
        state.ledger_workers[usize::from(r)] = match action {
            Action::TakePayment(_, lane, repeated) => take_payment(state, lane, repeated),
            Action::Commit(_) => self.commit(state, worker, l),
            Action::MarkSnapshot(_) => self.mark_snapshot(state, l),
            Action::MarkLane(_) if self.may_mark(state.lane(l)) => {
                state.lane_mut(l).mark = Mark::Fresh;
                LedgerWorker::Marked(l)
            }
            Action::Publish(_) => {
                state.publish(l);
                self.done_with_wake_up(l)
            }
            Action::PublishUnconfirmed(_) => {
                state.publish(l);
                LedgerWorker::Unmarking(l)
            }
            Action::PublishRefused(_) => LedgerWorker::Unmarking(l),
            Action::Unmark(_) => {
                state.lane_mut(l).mark = Mark::Empty;
                self.done_with_wake_up(l)
            }
            Action::CrashLedgerWorker(_) => {
                match worker {
                    LedgerWorker::Took {
                        repeated: false, ..
                    } => state.lane_mut(l).new_payments += 1,
                    _ => state.lane_mut(l).repeated_payments += 1,
                }
                LedgerWorker::Idle
            }
            Action::AckPayment(_) => LedgerWorker::Idle,
            _ => self.done_with_wake_up(l),
        };
    }

    fn commit(&self, state: &mut WakeUpState, worker: LedgerWorker, l: u8) -> LedgerWorker {
        let is_repeated = matches!(worker, LedgerWorker::Took { repeated: true, .. });
        let row = state.lane_mut(l);
        row.work += u8::from(!is_repeated);
        if row.work > 0 && !self.is_broken_by(Mutation::WakeUpBeforeCommit) {
            LedgerWorker::Committed(l)
        } else {
            LedgerWorker::Done(l)
        }
    }

    fn mark_snapshot(&self, state: &WakeUpState, l: u8) -> LedgerWorker {
        let row = state.lane(l);
        if row.is_open() && row.lease.can_be_claimed() && self.may_mark(row) {
            LedgerWorker::Marking(l)
        } else {
            self.done_with_wake_up(l)
        }
    }

    fn may_mark(&self, row: &LaneRow) -> bool {
        matches!(row.mark, Mark::Empty | Mark::Minutes)
            || self.is_broken_by(Mutation::LedgerWorkerIgnoresMarks)
    }

    /// The step that follows the wake-up, whether or not one was needed.
    fn done_with_wake_up(&self, l: u8) -> LedgerWorker {
        if self.is_broken_by(Mutation::WakeUpBeforeCommit) {
            LedgerWorker::Uncommitted(l)
        } else {
            LedgerWorker::Done(l)
        }
    }
}

fn take_payment(state: &mut WakeUpState, lane: u8, repeated: bool) -> LedgerWorker {
    let row = state.lane_mut(lane);
    if repeated {
        row.repeated_payments -= 1;
    } else {
        row.new_payments -= 1;
    }
    LedgerWorker::Took { lane, repeated }
}
