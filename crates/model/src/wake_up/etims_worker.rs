//! What a task of an etims-worker does with a wake-up: claim, work, release, acknowledge (protocol
//! D3, D4).

use super::{
    Action, EtimsTask, LaneRow, Lease, Mark, Mutation, TURN_INVOICES, WakeUpModel, WakeUpState,
};

impl WakeUpModel {
    pub(super) fn task_actions(
        &self,
        state: &WakeUpState,
        w: u8,
        with_faults: bool,
        actions: &mut Vec<Action>,
    ) {
        let task = state.tasks[usize::from(w)];
        if with_faults && task != EtimsTask::Idle {
            actions.push(Action::CrashTask(w));
            actions.extend(faults(task, w));
        }
        match task {
            EtimsTask::Idle => {
                let queued = (0..self.lanes).filter(|l| state.lane(*l).queued > 0);
                actions.extend(queued.map(|l| Action::TakeWakeUp(w, l)));
            }
            EtimsTask::Took(_) => actions.push(Action::Claim(w)),
            EtimsTask::Holding(l, done) => {
                let row = state.lane(l);
                let has_more = done < TURN_INVOICES && row.work > 0 && !row.halted;
                let can_work = has_more && self.holds_claim(state, w, l);
                if can_work {
                    actions.push(Action::Read(w));
                }
                if with_faults || !can_work {
                    actions.push(Action::ReleaseSnapshot(w));
                }
            }
            EtimsTask::Filing(..) => actions.push(Action::Write(w)),
            EtimsTask::Releasing(..) => actions.push(Action::Release(w)),
            EtimsTask::Marked(_) => actions.push(Action::PublishRest(w)),
            EtimsTask::Unmarking(_) => actions.push(Action::UnmarkRest(w)),
            EtimsTask::Spent(_) => actions.push(Action::AckWakeUp(w)),
        }
        if let EtimsTask::Holding(l, _) | EtimsTask::Filing(l, _) = task
            && state.lane(l).lease == Lease::RunOut(w)
        {
            actions.push(Action::Renew(w));
        }
    }

    pub(super) fn task_step(&self, state: &mut WakeUpState, w: u8, action: Action) {
        let task = state.tasks[usize::from(w)];
        let l = task.lane().unwrap_or_default();
        state.tasks[usize::from(w)] = match (action, task) {
            (Action::TakeWakeUp(_, lane), _) => {
                state.lane_mut(lane).queued -= 1;
                EtimsTask::Took(lane)
            }
            (Action::Claim(_), _) => self.claim(state, w, l),
            (Action::ClaimFails(_), _) => EtimsTask::Spent(l),
            (Action::Read(_), EtimsTask::Holding(_, done)) => EtimsTask::Filing(l, done),
            (Action::Write(_), EtimsTask::Filing(_, done)) => self.write(state, w, l, done),
            (Action::Wait(_), _) => {
                state.lane_mut(l).waits |= self.holds_claim(state, w, l);
                EtimsTask::Holding(l, TURN_INVOICES)
            }
            (Action::Halt(_), _) => {
                state.lane_mut(l).halted |= self.holds_claim(state, w, l);
                EtimsTask::Holding(l, TURN_INVOICES)
            }
            (Action::Renew(_), _) => {
                state.lane_mut(l).lease = Lease::Held(w);
                task
            }
            (Action::Abandon(_), _) => {
                if self.holds_claim(state, w, l) {
                    state.lane_mut(l).lease = Lease::Free;
                    state.lane_mut(l).waits = true;
                }
                EtimsTask::Spent(l)
            }
            (Action::ReleaseSnapshot(_), _) => EtimsTask::Releasing(l, state.lane(l).work > 0),
            (Action::Release(_), EtimsTask::Releasing(_, more)) => self.release(state, w, l, more),
            (Action::ReleaseFails(_), _) => {
                state.lane_mut(l).leave_lease_of(w);
                EtimsTask::Spent(l)
            }
            (Action::PublishRest(_), _) => {
                state.publish(l);
                EtimsTask::Spent(l)
            }
            (Action::PublishRestUnconfirmed(_), _) => {
                state.publish(l);
                EtimsTask::Unmarking(l)
            }
            (Action::PublishRestRefused(_), _) => EtimsTask::Unmarking(l),
            (Action::UnmarkRest(_), _) => {
                state.lane_mut(l).mark = Mark::Empty;
                EtimsTask::Spent(l)
            }
            (Action::AckWakeUpLost(_) | Action::CrashTask(_), _) => {
                state.publish(l);
                state.lane_mut(l).leave_lease_of(w);
                EtimsTask::Idle
            }
            (_, _) => EtimsTask::Idle,
        };
    }

    /// Whether the database takes this worker for the one that claimed the lane.
    pub(super) fn holds_claim(&self, state: &WakeUpState, w: u8, l: u8) -> bool {
        let holder = state.lane(l).lease.holder();
        holder == Some(w) || holder.is_some() && self.is_broken_by(Mutation::OldClaimAccepted)
    }

    fn claim(&self, state: &mut WakeUpState, w: u8, l: u8) -> EtimsTask {
        let row = state.lane_mut(l);
        if !self.is_broken_by(Mutation::ClaimKeepsMark) {
            row.mark = Mark::Empty;
        }
        let can_be_claimed = row.lease.can_be_claimed();
        if row.is_open() && can_be_claimed {
            row.lease = Lease::Held(w);
            return EtimsTask::Holding(l, 0);
        }
        if !can_be_claimed && self.is_broken_by(Mutation::WakeUpRequeuedWhenLeased) {
            state.publish(l);
            return EtimsTask::Idle;
        }
        EtimsTask::Spent(l)
    }

    fn write(&self, state: &mut WakeUpState, w: u8, l: u8, done: u8) -> EtimsTask {
        let is_believed = self.holds_claim(state, w, l);
        if !is_believed && !self.is_broken_by(Mutation::WriteWithoutClaim) {
            return EtimsTask::Holding(l, TURN_INVOICES);
        }
        let is_holder = state.lane(l).lease.holder() == Some(w);
        state.wrote_without_claim |= !is_holder;
        let row = state.lane_mut(l);
        row.work = row.work.saturating_sub(1);
        if is_holder {
            row.lease = Lease::Held(w);
        }
        EtimsTask::Holding(l, done + 1)
    }

    fn release(&self, state: &mut WakeUpState, w: u8, l: u8, more: bool) -> EtimsTask {
        if !self.holds_claim(state, w, l) {
            return EtimsTask::Spent(l);
        }
        let row = state.lane_mut(l);
        row.lease = Lease::Free;
        let needs_wake_up = more && row.is_open() && row.mark == Mark::Empty;
        if needs_wake_up && !self.is_broken_by(Mutation::ReleaseWithoutWakeUp) {
            row.mark = Mark::Fresh;
            return EtimsTask::Marked(l);
        }
        EtimsTask::Spent(l)
    }
}

/// What may go wrong where a task stands, apart from a crash.
fn faults(task: EtimsTask, w: u8) -> Vec<Action> {
    match task {
        EtimsTask::Took(_) => vec![Action::ClaimFails(w)],
        EtimsTask::Filing(..) => vec![Action::Wait(w), Action::Halt(w), Action::Abandon(w)],
        EtimsTask::Releasing(..) => vec![Action::ReleaseFails(w)],
        EtimsTask::Marked(_) => vec![
            Action::PublishRestUnconfirmed(w),
            Action::PublishRestRefused(w),
        ],
        EtimsTask::Spent(_) => vec![Action::AckWakeUpLost(w)],
        EtimsTask::Idle | EtimsTask::Holding(..) | EtimsTask::Unmarking(_) => Vec::new(),
    }
}

impl LaneRow {
    /// Leaves the lease of a worker that died or has forgotten it.
    fn leave_lease_of(&mut self, w: u8) {
        if self.lease.holder() == Some(w) {
            self.lease = match self.lease {
                Lease::Held(_) => Lease::LeftBehind,
                _ => Lease::Free,
            };
        }
    }
}
