//! The wake loop (protocol D3): what brings a lane back whose token is lost.

use super::{Action, Mark, Mutation, Set, State, Token, Waker};

impl Token {
    pub(super) fn waker_actions(
        &self,
        state: &State,
        v: u8,
        calm: bool,
        actions: &mut Vec<Action>,
    ) {
        let at = state.wakers[usize::from(v)];
        if !calm && at != Waker::Idle {
            actions.push(Action::WakeCrash(v));
        }
        match at {
            // A round that finds nothing leaves everything as it is.
            Waker::Idle if self.due(state).contains(&true) => actions.push(Action::WakeSee(v)),
            Waker::Idle => {}
            Waker::Marking(..) => {
                actions.push(Action::WakeMark(v));
                if !calm {
                    actions.push(Action::WakeSkip(v));
                }
            }
            Waker::Publishing(left, _) => {
                for l in (0..self.lanes).filter(|l| left[usize::from(*l)]) {
                    actions.push(Action::WakePublish(v, l));
                    if !calm {
                        actions.extend([Action::WakeUnconfirmed(v, l), Action::WakeRefused(v, l)]);
                    }
                }
                if !left.contains(&true) {
                    actions.push(Action::WakeUnmark(v));
                }
            }
        }
    }

    /// False when the action is none of a wake loop's.
    pub(super) fn waker(&self, state: &mut State, action: Action) -> bool {
        let (Action::WakeSee(v)
        | Action::WakeMark(v)
        | Action::WakeSkip(v)
        | Action::WakePublish(v, _)
        | Action::WakeUnconfirmed(v, _)
        | Action::WakeRefused(v, _)
        | Action::WakeUnmark(v)
        | Action::WakeCrash(v)) = action
        else {
            return false;
        };
        let at = state.wakers[usize::from(v)];
        state.wakers[usize::from(v)] = match (action, at) {
            (Action::WakeSee(_), _) => Waker::Marking(self.due(state), state.queue_is_empty()),
            (Action::WakeMark(_), Waker::Marking(due, empty)) => self.wake(state, due, empty),
            (Action::WakePublish(_, l), Waker::Publishing(left, failed)) => {
                state.publish(l);
                publishing(without(left, l), failed)
            }
            (Action::WakeUnconfirmed(_, l), Waker::Publishing(left, failed)) => {
                state.publish(l);
                publishing(without(left, l), with(failed, l))
            }
            (Action::WakeRefused(_, l), Waker::Publishing(left, failed)) => {
                publishing(without(left, l), with(failed, l))
            }
            (Action::WakeUnmark(_), Waker::Publishing(_, failed)) => {
                for (row, failed) in state.lanes.iter_mut().zip(failed) {
                    if failed {
                        row.mark = Mark::Empty;
                    }
                }
                Waker::Idle
            }
            (_, _) => Waker::Idle,
        };
        true
    }

    /// What the statement's snapshot shows.
    fn due(&self, state: &State) -> Set {
        let empty = state.queue_is_empty();
        state.lanes.map(|row| {
            row.work > 0 && row.open() && row.lease.free() && self.lacks_token(row.mark, empty)
        })
    }

    fn lacks_token(&self, mark: Mark, empty: bool) -> bool {
        match mark {
            _ if self.is(Mutation::WakesMarkedLanes) => true,
            Mark::Empty => true,
            Mark::Minutes => !self.is(Mutation::MarksNeverLapse),
            Mark::Seconds => empty && !self.is(Mutation::MarksNeverLapse),
            Mark::Fresh => false,
        }
    }

    fn wake(&self, state: &mut State, due: Set, empty: bool) -> Waker {
        let mut marked = [false; super::MAX];
        for ((row, due), marked) in state.lanes.iter_mut().zip(due).zip(&mut marked) {
            if due && self.lacks_token(row.mark, empty) {
                row.mark = Mark::Fresh;
                *marked = true;
            }
        }
        publishing(marked, [false; super::MAX])
    }
}

fn publishing(left: Set, failed: Set) -> Waker {
    if left.contains(&true) || failed.contains(&true) {
        Waker::Publishing(left, failed)
    } else {
        Waker::Idle
    }
}

fn with(mut set: Set, l: u8) -> Set {
    set[usize::from(l)] = true;
    set
}

fn without(mut set: Set, l: u8) -> Set {
    set[usize::from(l)] = false;
    set
}
