//! The wake loop (protocol D3), which finds the lanes whose wake-up is lost.

use super::{Action, LaneSet, MAX, Mark, Mutation, WakeLoop, WakeUpModel, WakeUpState};

impl WakeUpModel {
    pub(super) fn wake_loop_actions(
        &self,
        state: &WakeUpState,
        v: u8,
        with_faults: bool,
        actions: &mut Vec<Action>,
    ) {
        let wake_loop = state.wake_loops[usize::from(v)];
        if with_faults && wake_loop != WakeLoop::Idle {
            actions.push(Action::CrashWakeLoop(v));
        }
        match wake_loop {
            // A round that finds nothing changes nothing.
            WakeLoop::Idle if self.due_lanes(state).contains(&true) => {
                actions.push(Action::WakeSnapshot(v));
            }
            WakeLoop::Idle => {}
            WakeLoop::Marking(..) => {
                actions.push(Action::WakeMark(v));
                if with_faults {
                    actions.push(Action::WakeSkip(v));
                }
            }
            WakeLoop::Publishing(left, _) => {
                for l in (0..self.lanes).filter(|l| left[usize::from(*l)]) {
                    actions.push(Action::WakePublish(v, l));
                    if with_faults {
                        actions.push(Action::WakePublishUnconfirmed(v, l));
                        actions.push(Action::WakePublishRefused(v, l));
                    }
                }
                if !left.contains(&true) {
                    actions.push(Action::WakeUnmark(v));
                }
            }
        }
    }

    pub(super) fn wake_loop_step(&self, state: &mut WakeUpState, v: u8, action: Action) {
        let wake_loop = state.wake_loops[usize::from(v)];
        state.wake_loops[usize::from(v)] = match (action, wake_loop) {
            (Action::WakeSnapshot(_), _) => {
                WakeLoop::Marking(self.due_lanes(state), state.queue_is_empty())
            }
            (Action::WakeMark(_), WakeLoop::Marking(due, queue_was_empty)) => {
                self.mark_due_lanes(state, due, queue_was_empty)
            }
            (Action::WakePublish(_, l), WakeLoop::Publishing(left, failed)) => {
                state.publish(l);
                publishing(without(left, l), failed)
            }
            (Action::WakePublishUnconfirmed(_, l), WakeLoop::Publishing(left, failed)) => {
                state.publish(l);
                publishing(without(left, l), with(failed, l))
            }
            (Action::WakePublishRefused(_, l), WakeLoop::Publishing(left, failed)) => {
                publishing(without(left, l), with(failed, l))
            }
            (Action::WakeUnmark(_), WakeLoop::Publishing(_, failed)) => {
                for (row, failed) in state.lanes.iter_mut().zip(failed) {
                    if failed {
                        row.mark = Mark::Empty;
                    }
                }
                WakeLoop::Idle
            }
            (_, _) => WakeLoop::Idle,
        };
    }

    /// The lanes that are due in the statement's snapshot.
    fn due_lanes(&self, state: &WakeUpState) -> LaneSet {
        let queue_is_empty = state.queue_is_empty();
        state.lanes.map(|row| {
            row.work > 0
                && row.is_open()
                && row.lease.can_be_claimed()
                && self.lacks_wake_up(row.mark, queue_is_empty)
        })
    }

    fn lacks_wake_up(&self, mark: Mark, queue_is_empty: bool) -> bool {
        if self.is_broken_by(Mutation::WakeLoopIgnoresMarks) {
            return true;
        }
        let marks_lapse = !self.is_broken_by(Mutation::MarksNeverLapse);
        match mark {
            Mark::Empty => true,
            Mark::Minutes => marks_lapse,
            Mark::Seconds => queue_is_empty && marks_lapse,
            Mark::Fresh => false,
        }
    }

    fn mark_due_lanes(
        &self,
        state: &mut WakeUpState,
        due: LaneSet,
        queue_was_empty: bool,
    ) -> WakeLoop {
        let mut marked = [false; MAX];
        for ((row, due), marked) in state.lanes.iter_mut().zip(due).zip(&mut marked) {
            if due && self.lacks_wake_up(row.mark, queue_was_empty) {
                row.mark = Mark::Fresh;
                *marked = true;
            }
        }
        publishing(marked, [false; MAX])
    }
}

fn publishing(left: LaneSet, failed: LaneSet) -> WakeLoop {
    if left.contains(&true) || failed.contains(&true) {
        WakeLoop::Publishing(left, failed)
    } else {
        WakeLoop::Idle
    }
}

fn with(mut lanes: LaneSet, l: u8) -> LaneSet {
    lanes[usize::from(l)] = true;
    lanes
}

fn without(mut lanes: LaneSet, l: u8) -> LaneSet {
    lanes[usize::from(l)] = false;
    lanes
}
