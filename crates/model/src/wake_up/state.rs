//! What is modelled of wake-ups and leases: the lanes' rows, the queue, and where each program
//! stands.

use super::programs::{EtimsTask, LedgerWorker, WakeLoop};

/// Lanes there is room for, and actors of each kind.
pub const MAX: usize = 2;
/// Wake-ups one lane may have in the queue. Beyond that the queue drops its head (protocol B2).
const QUEUED_MAX: u8 = 2;

/// `lanes.token_at`, empty or by its age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mark {
    Empty,
    Fresh,
    /// The mark is older than 2 s.
    Seconds,
    /// The mark is older than 10 minutes.
    Minutes,
}

/// A row of `lane_leases`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lease {
    Free,
    /// The worker that had it died or has forgotten it.
    LeftBehind,
    Held(u8),
    /// `lease_until` is past. The claim id stays until somebody takes the lane.
    RunOut(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneRow {
    /// Invoices to file.
    pub work: u8,
    pub mark: Mark,
    pub lease: Lease,
    /// Whether `retry_at` is in the future.
    pub waits: bool,
    pub halted: bool,
    /// Wake-ups in the queue. The model lets any of them come next.
    pub queued: u8,
    /// Messages of paid sales that are not recorded yet.
    pub new_payments: u8,
    /// Messages of paid sales that are recorded and delivered again.
    pub repeated_payments: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WakeUpState {
    pub lanes: [LaneRow; MAX],
    pub ledger_workers: [LedgerWorker; MAX],
    pub tasks: [EtimsTask; MAX],
    pub wake_loops: [WakeLoop; MAX],
    /// How often something may still go wrong.
    pub faults: u8,
    /// Whether a worker has written an outcome after it lost its claim.
    pub wrote_without_claim: bool,
    /// Whether a wake-up has been published that no rule accounts for.
    pub has_surplus: bool,
}

impl Lease {
    pub fn holder(self) -> Option<u8> {
        match self {
            Self::Held(w) | Self::RunOut(w) => Some(w),
            Self::Free | Self::LeftBehind => None,
        }
    }

    /// Whether anybody may take the lane.
    pub fn can_be_claimed(self) -> bool {
        matches!(self, Self::Free | Self::RunOut(_))
    }
}

impl LaneRow {
    /// Whether the lane is neither halted nor waiting.
    pub fn is_open(&self) -> bool {
        !self.halted && !self.waits
    }
}

impl WakeUpState {
    pub fn new(lanes: u8, sales: u8, faults: u8) -> Self {
        let lane = |l| LaneRow {
            work: 0,
            mark: Mark::Empty,
            lease: Lease::Free,
            waits: false,
            halted: false,
            queued: 0,
            new_payments: if l < lanes { sales } else { 0 },
            repeated_payments: 0,
        };
        Self {
            lanes: [lane(0), lane(1)],
            ledger_workers: [LedgerWorker::Idle; MAX],
            tasks: [EtimsTask::Idle; MAX],
            wake_loops: [WakeLoop::Idle; MAX],
            faults,
            wrote_without_claim: false,
            has_surplus: false,
        }
    }

    pub fn lane(&self, l: u8) -> &LaneRow {
        &self.lanes[usize::from(l)]
    }

    pub fn lane_mut(&mut self, l: u8) -> &mut LaneRow {
        &mut self.lanes[usize::from(l)]
    }

    pub fn queue_is_empty(&self) -> bool {
        self.lanes.iter().all(|lane| lane.queued == 0)
    }

    /// Adds a wake-up to the queue. A full queue drops its head.
    pub(super) fn publish(&mut self, l: u8) {
        let lane = self.lane_mut(l);
        lane.queued = (lane.queued + 1).min(QUEUED_MAX);
    }

    /// Wake-ups of a lane that no claim has spent yet: queued, in hand, or marked to be published.
    pub fn unspent(&self, l: u8) -> u8 {
        let by_ledger_workers = self
            .ledger_workers
            .iter()
            .filter(|worker| worker.has_unspent(l))
            .count();
        let by_tasks = self.tasks.iter().filter(|task| task.has_unspent(l)).count();
        let by_wake_loops = self
            .wake_loops
            .iter()
            .filter(|wake_loop| wake_loop.has_unspent(l))
            .count();
        self.lane(l).queued + (by_ledger_workers + by_tasks + by_wake_loops) as u8
    }

    /// Unspent wake-ups beyond the one that the lane's mark stands for.
    pub fn excess(&self, l: u8) -> u8 {
        let marked = u8::from(self.lane(l).mark != Mark::Empty);
        self.unspent(l).saturating_sub(marked)
    }

    /// Whether somebody else has the lane's row in a statement at this moment.
    pub fn is_row_busy(&self, l: u8) -> bool {
        let waking = |wake_loop: &WakeLoop| match wake_loop {
            WakeLoop::Marking(lanes, _) => lanes[usize::from(l)],
            _ => false,
        };
        let releasing =
            |task: &EtimsTask| matches!(task, EtimsTask::Releasing(lane, _) if *lane == l);
        let marking = self
            .ledger_workers
            .iter()
            .filter(|worker| **worker == LedgerWorker::Marking(l))
            .count();
        self.wake_loops.iter().any(waking) || self.tasks.iter().any(releasing) || marking > 1
    }
}
