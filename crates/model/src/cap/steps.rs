//! Which steps are possible, and what each does.

use super::state::{CALL, EXPIRY, REMOVABLE};
use super::{Action, CapModel, CapState, LowerShare, Mutation, Row, Waiting, Worker};

impl CapModel {
    pub(super) fn possible_actions(&self, state: &CapState, w: usize) -> Vec<Action> {
        let worker = &state.workers[w];
        let mut actions = Vec::new();
        if worker.lower.is_some() {
            actions.push(Action::Lower(w));
        }
        if !worker.lives {
            // A worker that starts has a name of its own, and so nothing of the one before.
            if *worker == Worker::default() {
                actions.push(Action::Start(w));
            }
            return actions;
        }
        actions.extend([Action::Die(w), Action::Leave(w)]);
        if worker.calls() > 0 {
            actions.push(Action::Answer(w));
        }
        let fresh = worker.heartbeat < EXPIRY || self.is_broken_by(Mutation::CallWhenStale);
        if fresh && worker.calls() < worker.share {
            actions.push(Action::Call(w));
        }
        match worker.waiting {
            None => {
                actions.push(Action::Renew(w));
                let taken = self.taken_for_raise(state, w);
                let shares = 0..=self.cap.saturating_sub(taken);
                actions.extend(shares.map(|share| Action::Raise(w, share)));
            }
            Some(Waiting::Renewed { taken, .. }) => {
                actions.push(Action::Lost(w));
                let shares = 0..=self.cap.saturating_sub(taken);
                actions.extend(shares.map(|share| Action::Settle(w, share)));
            }
            Some(Waiting::Raised { .. }) => actions.extend([Action::Lost(w), Action::Raised(w)]),
        }
        actions
    }

    pub(super) fn take(&self, state: &mut CapState, action: Action) {
        match action {
            Action::Start(w) => {
                state.workers[w] = Worker {
                    lives: true,
                    heartbeat: EXPIRY,
                    ..Worker::default()
                };
            }
            Action::Renew(w) => self.renew(state, w),
            Action::Settle(w, share) => self.settle(&mut state.workers[w], share),
            Action::Lower(w) => self.lower(&mut state.workers[w]),
            Action::Raise(w, share) => self.raise(state, w, share),
            Action::Raised(w) => {
                let worker = &mut state.workers[w];
                if let Some(Waiting::Raised { share, age }) = worker.waiting.take() {
                    worker.share = share;
                    worker.heartbeat = age;
                }
            }
            Action::Lost(w) => state.workers[w].waiting = None,
            Action::Call(w) => state.workers[w].calls[0] += 1,
            Action::Answer(w) => {
                let oldest = state.workers[w].calls.iter_mut().rev();
                if let Some(calls) = oldest.into_iter().find(|calls| **calls > 0) {
                    *calls -= 1;
                }
            }
            Action::Leave(w) => self.leave(&mut state.workers[w]),
            Action::Die(w) => end(&mut state.workers[w]),
            Action::Tick => state.workers.iter_mut().for_each(Worker::grow_older),
        }
        // What nothing can happen to any more is as good as a worker that was never there.
        for worker in &mut state.workers {
            if !worker.lives && worker.row.is_none() && worker.calls == [0; CALL] {
                *worker = Worker::default();
            }
        }
    }

    fn removable(&self) -> u8 {
        match self.is_broken_by(Mutation::ReclaimAtExpiry) {
            true => EXPIRY,
            false => REMOVABLE,
        }
    }

    fn renew(&self, state: &mut CapState, w: usize) {
        let taken = state.taken_from(w, self.removable());
        let worker = &mut state.workers[w];
        worker.row_changed();
        if let Some(row) = &mut worker.row {
            row.age = 0;
        }
        worker.waiting = Some(Waiting::Renewed {
            recorded: worker.row.map(|row| row.share),
            taken,
            age: 0,
            current: true,
        });
    }

    fn settle(&self, worker: &mut Worker, share: u8) {
        let Some(Waiting::Renewed {
            recorded,
            taken,
            age,
            current,
        }) = worker.waiting.take()
        else {
            return;
        };
        if self.is_broken_by(Mutation::RaiseWithoutLock) {
            worker.taken = taken;
        }
        let Some(recorded) = recorded else {
            worker.share = 0;
            worker.heartbeat = EXPIRY;
            return;
        };
        worker.share = match self.is_broken_by(Mutation::UseBeforeRecorded) {
            true => share,
            false => share.min(recorded),
        };
        worker.heartbeat = age;
        let held = match self.is_broken_by(Mutation::LowerIgnoresCalls) {
            true => share,
            false => share.max(worker.calls()),
        };
        if held < recorded {
            worker.lower = Some(LowerShare {
                share: held,
                current,
            });
        }
    }

    fn lower(&self, worker: &mut Worker) {
        let lower = worker.lower.take();
        if let (Some(row), Some(lower)) = (&mut worker.row, lower)
            && (lower.current || self.is_broken_by(Mutation::LowerLate))
        {
            row.share = row.share.min(lower.share);
        }
    }

    fn taken_for_raise(&self, state: &CapState, w: usize) -> u8 {
        match self.is_broken_by(Mutation::RaiseWithoutLock) {
            true => state.workers[w].taken,
            false => state.taken_from(w, self.removable()),
        }
    }

    fn raise(&self, state: &mut CapState, w: usize, share: u8) {
        let removable = self.removable();
        for (other, worker) in state.workers.iter_mut().enumerate() {
            if other != w && worker.row.is_some_and(|row| row.age >= removable) {
                worker.row = None;
                worker.row_changed();
                state.reclaimed |= !worker.lives;
            }
        }
        let lives = state.workers.iter().filter(|worker| worker.lives).count();
        state.lent |= lives > 1 && usize::from(share) * lives > usize::from(self.cap);

        let worker = &mut state.workers[w];
        worker.share = worker.share.min(share);
        worker.row = Some(Row {
            share: share.max(worker.calls()),
            age: 0,
        });
        worker.row_changed();
        worker.waiting = Some(Waiting::Raised { share, age: 0 });
    }

    fn leave(&self, worker: &mut Worker) {
        let calls = match self.is_broken_by(Mutation::LeaveForgetsCalls) {
            true => 0,
            false => worker.calls(),
        };
        worker.row = match (worker.row, calls) {
            (_, 0) | (None, _) => None,
            (Some(row), calls) => Some(Row {
                share: row.share.min(calls),
                ..row
            }),
        };
        worker.row_changed();
        end(worker);
    }
}

/// The process is gone. Its row stays, and so do its calls and a statement that is under way.
fn end(worker: &mut Worker) {
    *worker = Worker {
        row: worker.row,
        lower: worker.lower,
        calls: worker.calls,
        ..Worker::default()
    };
}
