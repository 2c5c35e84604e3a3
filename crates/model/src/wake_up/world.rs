//! Time, the broker, and people.

use super::{Action, Lease, Mark, Mutation, WakeUpModel, WakeUpState};

impl WakeUpModel {
    pub(super) fn world_actions(
        &self,
        state: &WakeUpState,
        with_faults: bool,
        actions: &mut Vec<Action>,
    ) {
        for l in 0..self.lanes {
            let row = state.lane(l);
            // Without faults a wake-up is published, taken and spent before its mark is old.
            let on_its_way = state.unspent(l) > 0 || row.lease != Lease::Free;
            let can_age = matches!(row.mark, Mark::Fresh | Mark::Seconds);
            if can_age && (with_faults || !on_its_way) {
                actions.push(Action::AgeMark(l));
            }
            match row.lease {
                Lease::LeftBehind if !self.is_broken_by(Mutation::LeasesNeverExpire) => {
                    actions.push(Action::ExpireLease(l));
                }
                Lease::Held(_) if with_faults => actions.push(Action::ExpireLease(l)),
                _ => {}
            }
            if row.waits {
                actions.push(Action::RetryDue(l));
            }
            if with_faults {
                if row.queued > 0 {
                    actions.push(Action::LoseWakeUp(l));
                }
                actions.push(if row.halted {
                    Action::Resume(l)
                } else {
                    Action::HaltByHand(l)
                });
            }
        }
    }

    pub(super) fn world_step(&self, state: &mut WakeUpState, action: Action) {
        match action {
            Action::LoseWakeUp(l) => state.lane_mut(l).queued -= 1,
            Action::AgeMark(l) => {
                let row = state.lane_mut(l);
                row.mark = if row.mark == Mark::Fresh {
                    Mark::Seconds
                } else {
                    Mark::Minutes
                };
            }
            Action::ExpireLease(l) => {
                let row = state.lane_mut(l);
                row.lease = row.lease.holder().map_or(Lease::Free, Lease::RunOut);
            }
            Action::RetryDue(l) => state.lane_mut(l).waits = false,
            Action::HaltByHand(l) => {
                let row = state.lane_mut(l);
                row.halted = true;
                row.mark = Mark::Empty;
            }
            Action::Resume(l) => {
                let row = state.lane_mut(l);
                row.halted = false;
                row.waits = false;
                row.mark = Mark::Empty;
            }
            _ => {}
        }
    }
}
