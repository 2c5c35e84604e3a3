//! A token in the hands of an etims-worker: claim, work, release, ack (protocol D3, D4).

use super::{Action, Lease, Mark, Mutation, QUANTUM, State, Task, Token};

impl Token {
    pub(super) fn task_actions(&self, state: &State, w: u8, calm: bool, actions: &mut Vec<Action>) {
        let at = state.tasks[usize::from(w)];
        if !calm && at != Task::Idle {
            actions.push(Action::Crash(w));
            actions.extend(faults(at, w));
        }
        let row = |lane: u8| state.lanes[usize::from(lane)];
        match at {
            Task::Idle => {
                let queued = (0..self.lanes).filter(|lane| row(*lane).queued > 0);
                actions.extend(queued.map(|lane| Action::TakeToken(w, lane)));
            }
            Task::Took(_) => actions.push(Action::Claim(w)),
            Task::Holding(lane, done) => {
                let more = done < QUANTUM && row(lane).work > 0 && !row(lane).halted;
                if more && self.holds(state, w, lane) {
                    actions.push(Action::Read(w));
                }
                if !calm || !more || !self.holds(state, w, lane) {
                    actions.push(Action::Look(w));
                }
            }
            Task::Filing(..) => actions.push(Action::Write(w)),
            Task::Releasing(..) => actions.push(Action::Release(w)),
            Task::Marked(_) => actions.push(Action::PassOn(w)),
            Task::Unmarking(_) => actions.push(Action::TakeBack(w)),
            Task::Spent(_) => actions.push(Action::Ack(w)),
        }
        if let Task::Holding(lane, _) | Task::Filing(lane, _) = at
            && row(lane).lease == Lease::RunOut(w)
        {
            actions.push(Action::Renew(w));
        }
    }

    /// False when the action is none of an etims-worker's.
    pub(super) fn task(&self, state: &mut State, action: Action) -> bool {
        let (Action::TakeToken(w, _)
        | Action::Claim(w)
        | Action::ClaimFails(w)
        | Action::Read(w)
        | Action::Write(w)
        | Action::Wait(w)
        | Action::Halt(w)
        | Action::Renew(w)
        | Action::Abandon(w)
        | Action::Look(w)
        | Action::Release(w)
        | Action::ReleaseFails(w)
        | Action::PassOn(w)
        | Action::PassOnUnconfirmed(w)
        | Action::PassOnRefused(w)
        | Action::TakeBack(w)
        | Action::Ack(w)
        | Action::AckLost(w)
        | Action::Crash(w)) = action
        else {
            return false;
        };
        let at = state.tasks[usize::from(w)];
        let l = at.lane().unwrap_or_default();
        let holds = self.holds(state, w, l);
        state.tasks[usize::from(w)] = match (action, at) {
            (Action::TakeToken(_, lane), _) => {
                state.lane(lane).queued -= 1;
                Task::Took(lane)
            }
            (Action::Claim(_), _) => self.claim(state, w, l),
            (Action::Read(_), Task::Holding(_, done)) => Task::Filing(l, done),
            (Action::Write(_), Task::Filing(_, done)) => self.write(state, w, l, done),
            (Action::Wait(_), _) => {
                state.lane(l).waits |= holds;
                Task::Holding(l, QUANTUM)
            }
            (Action::Halt(_), _) => {
                state.lane(l).halted |= holds;
                Task::Holding(l, QUANTUM)
            }
            (Action::Renew(_), _) => {
                state.lane(l).lease = Lease::Held(w);
                at
            }
            (Action::Abandon(_), _) => {
                if holds {
                    state.lane(l).lease = Lease::Nobodys;
                    state.lane(l).waits = true;
                }
                Task::Spent(l)
            }
            (Action::Look(_), _) => Task::Releasing(l, state.lanes[usize::from(l)].work > 0),
            (Action::Release(_), Task::Releasing(_, more)) => self.release(state, w, l, more),
            (Action::ReleaseFails(_), _) => {
                state.lane(l).left_by(w);
                Task::Spent(l)
            }
            (Action::PassOn(_), _) => {
                state.publish(l);
                Task::Spent(l)
            }
            (Action::PassOnUnconfirmed(_), _) => {
                state.publish(l);
                Task::Unmarking(l)
            }
            (Action::PassOnRefused(_), _) => Task::Unmarking(l),
            (Action::TakeBack(_), _) => {
                state.lane(l).mark = Mark::Empty;
                Task::Spent(l)
            }
            (Action::AckLost(_) | Action::Crash(_), _) => {
                state.publish(l);
                state.lane(l).left_by(w);
                Task::Idle
            }
            (Action::ClaimFails(_), _) => Task::Spent(l),
            (_, _) => Task::Idle,
        };
        true
    }

    /// Whether the lane is this worker's, as the database sees it.
    pub(super) fn holds(&self, state: &State, w: u8, l: u8) -> bool {
        let holder = state.lanes[usize::from(l)].lease.holder();
        holder == Some(w) || holder.is_some() && self.is(Mutation::ClaimIdOfTheLane)
    }

    fn claim(&self, state: &mut State, w: u8, l: u8) -> Task {
        let row = state.lane(l);
        if !self.is(Mutation::MarkKept) {
            row.mark = Mark::Empty;
        }
        if row.open() && row.lease.free() {
            row.lease = Lease::Held(w);
            return Task::Holding(l, 0);
        }
        if !row.lease.free() && self.is(Mutation::RequeuedWhenLeased) {
            state.publish(l);
            return Task::Idle;
        }
        Task::Spent(l)
    }

    fn write(&self, state: &mut State, w: u8, l: u8, done: u8) -> Task {
        let holds = self.holds(state, w, l);
        if !holds && !self.is(Mutation::WriteWithoutClaim) {
            return Task::Holding(l, QUANTUM);
        }
        let truly = state.lanes[usize::from(l)].lease.holder() == Some(w);
        state.blind |= !truly;
        let row = state.lane(l);
        row.work = row.work.saturating_sub(1);
        if truly {
            row.lease = Lease::Held(w);
        }
        Task::Holding(l, done + 1)
    }

    fn release(&self, state: &mut State, w: u8, l: u8, more: bool) -> Task {
        let holds = self.holds(state, w, l);
        let row = state.lane(l);
        if !holds {
            return Task::Spent(l);
        }
        row.lease = Lease::Nobodys;
        if more && row.open() && row.mark == Mark::Empty && !self.is(Mutation::ReleaseWithoutToken)
        {
            row.mark = Mark::Fresh;
            return Task::Marked(l);
        }
        Task::Spent(l)
    }
}

/// What may go wrong where a task stands, but for dying.
fn faults(at: Task, w: u8) -> Vec<Action> {
    match at {
        Task::Took(_) => vec![Action::ClaimFails(w)],
        Task::Filing(..) => vec![Action::Wait(w), Action::Halt(w), Action::Abandon(w)],
        Task::Releasing(..) => vec![Action::ReleaseFails(w)],
        Task::Marked(_) => vec![Action::PassOnUnconfirmed(w), Action::PassOnRefused(w)],
        Task::Spent(_) => vec![Action::AckLost(w)],
        Task::Idle | Task::Holding(..) | Task::Unmarking(_) => Vec::new(),
    }
}

impl super::Lane {
    fn left_by(&mut self, w: u8) {
        if self.lease.holder() == Some(w) {
            self.lease = match self.lease {
                Lease::Held(_) => Lease::Left,
                _ => Lease::Nobodys,
            };
        }
    }
}
