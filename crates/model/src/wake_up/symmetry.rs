//! Makes equal situations equal states: lanes, and actors of a kind, differ in nothing but where
//! they stand.

use super::{Lease, WakeUpState};

impl WakeUpState {
    pub(super) fn normalise(&mut self, lanes: u8) {
        self.sort_actors();
        if lanes > 1 {
            let mut other = *self;
            other.swap_lanes();
            other.sort_actors();
            *self = other.min(*self);
        }
    }

    /// Puts the actors of each kind in order, the idle ones last.
    fn sort_actors(&mut self) {
        self.ledger_workers.sort_unstable_by(|a, b| b.cmp(a));
        self.wake_loops.sort_unstable_by(|a, b| b.cmp(a));
        let held = |w: u8| self.lanes.map(|lane| lane.lease.holder() == Some(w));
        if (self.tasks[0], held(0)) < (self.tasks[1], held(1)) {
            self.swap_tasks();
        }
    }

    fn swap_tasks(&mut self) {
        self.tasks.swap(0, 1);
        for lane in &mut self.lanes {
            lane.lease = match lane.lease {
                Lease::Held(w) => Lease::Held(1 - w),
                Lease::RunOut(w) => Lease::RunOut(1 - w),
                other => other,
            };
        }
    }

    fn swap_lanes(&mut self) {
        self.lanes.swap(0, 1);
        self.ledger_workers = self
            .ledger_workers
            .map(super::LedgerWorker::with_lanes_swapped);
        self.tasks = self.tasks.map(super::EtimsTask::with_lanes_swapped);
        self.wake_loops = self.wake_loops.map(super::WakeLoop::with_lanes_swapped);
    }
}
