//! A ledger worker: commit, then token, then ack (protocol C2).

use super::{Action, Mark, Mutation, QUEUED_MAX, Recorder, State, Token};

impl Token {
    pub(super) fn recorder_actions(
        &self,
        state: &State,
        r: u8,
        calm: bool,
        actions: &mut Vec<Action>,
    ) {
        let at = state.recorders[usize::from(r)];
        if !calm && at != Recorder::Idle {
            actions.push(Action::CrashRecorder(r));
        }
        match at {
            Recorder::Idle => {
                for l in 0..self.lanes {
                    let lane = &state.lanes[usize::from(l)];
                    let waiting = [(lane.owed, false), (lane.told, true)]
                        .into_iter()
                        .filter(|(n, _)| *n > 0);
                    actions.extend(waiting.map(|(_, again)| Action::Take(r, l, again)));
                }
            }
            Recorder::Took { .. } if self.is(Mutation::TokenBeforeCommit) => {
                actions.push(Action::See(r))
            }
            Recorder::Took { .. } | Recorder::Uncommitted(_) => actions.push(Action::Commit(r)),
            Recorder::Committed(_) => actions.push(Action::See(r)),
            Recorder::Marking(lane) => {
                actions.push(Action::Mark(r));
                if state.busy(lane) {
                    actions.push(Action::Skip(r));
                }
            }
            Recorder::Marked(_) => {
                actions.push(Action::Publish(r));
                if !calm {
                    actions.extend([Action::PublishUnconfirmed(r), Action::PublishRefused(r)]);
                }
            }
            Recorder::Unmarking(_) => actions.push(Action::Unmark(r)),
            Recorder::Done(_) => actions.push(Action::AckPayment(r)),
        }
    }

    /// False when the action is none of a ledger worker's.
    pub(super) fn recorder(&self, state: &mut State, action: Action) -> bool {
        let (Action::Take(r, ..)
        | Action::Commit(r)
        | Action::See(r)
        | Action::Mark(r)
        | Action::Skip(r)
        | Action::Publish(r)
        | Action::PublishUnconfirmed(r)
        | Action::PublishRefused(r)
        | Action::Unmark(r)
        | Action::AckPayment(r)
        | Action::CrashRecorder(r)) = action
        else {
            return false;
        };
        let at = state.recorders[usize::from(r)];
        let l = at.lane().unwrap_or_default();
        state.recorders[usize::from(r)] = match action {
            Action::Take(_, lane, again) => {
                let row = state.lane(lane);
                *(if again { &mut row.told } else { &mut row.owed }) -= 1;
                Recorder::Took { lane, again }
            }
            Action::Commit(_) => self.commit(state, at, l),
            Action::See(_) => self.see(state, l),
            Action::Mark(_) if state.lanes[usize::from(l)].takes_mark(self) => {
                state.lane(l).mark = Mark::Fresh;
                Recorder::Marked(l)
            }
            Action::Publish(_) => {
                state.publish(l);
                self.told(l)
            }
            Action::PublishUnconfirmed(_) => {
                state.publish(l);
                Recorder::Unmarking(l)
            }
            Action::PublishRefused(_) => Recorder::Unmarking(l),
            Action::Unmark(_) => {
                state.lane(l).mark = Mark::Empty;
                self.told(l)
            }
            Action::CrashRecorder(_) => {
                match at {
                    Recorder::Took { again: false, .. } => state.lane(l).owed += 1,
                    _ => state.lane(l).told += 1,
                }
                Recorder::Idle
            }
            Action::AckPayment(_) => Recorder::Idle,
            _ => self.told(l),
        };
        true
    }

    fn commit(&self, state: &mut State, at: Recorder, l: u8) -> Recorder {
        let again = matches!(at, Recorder::Took { again: true, .. });
        let row = state.lane(l);
        row.work += u8::from(!again);
        let news = row.work > 0 && !self.is(Mutation::TokenBeforeCommit);
        if news {
            Recorder::Committed(l)
        } else {
            Recorder::Done(l)
        }
    }

    fn see(&self, state: &State, l: u8) -> Recorder {
        let row = &state.lanes[usize::from(l)];
        if row.open() && row.lease.free() && row.takes_mark(self) {
            Recorder::Marking(l)
        } else {
            self.told(l)
        }
    }

    /// The lane is seen to.
    fn told(&self, l: u8) -> Recorder {
        if self.is(Mutation::TokenBeforeCommit) {
            Recorder::Uncommitted(l)
        } else {
            Recorder::Done(l)
        }
    }
}

impl super::Lane {
    fn takes_mark(&self, token: &Token) -> bool {
        matches!(self.mark, Mark::Empty | Mark::Minutes) || token.is(Mutation::MarksMarkedLanes)
    }
}

impl State {
    /// One more in the queue; a full one drops its head.
    pub(super) fn publish(&mut self, l: u8) {
        let lane = self.lane(l);
        lane.queued = (lane.queued + 1).min(QUEUED_MAX);
    }
}
