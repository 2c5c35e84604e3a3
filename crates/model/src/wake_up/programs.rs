//! Where each program stands.

use super::MAX;

/// Where a ledger worker stands with the message of a paid sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LedgerWorker {
    Idle,
    Took {
        lane: u8,
        repeated: bool,
    },
    Committed(u8),
    /// It is in the statement that marks the lane.
    Marking(u8),
    Marked(u8),
    /// As far as it knows, its mark has no wake-up.
    Unmarking(u8),
    Done(u8),
    /// The wake-up is published before the commit, as `WakeUpBeforeCommit` has it.
    Uncommitted(u8),
}

/// Where a task of an etims-worker stands with a wake-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EtimsTask {
    Idle,
    Took(u8),
    /// It holds the lane, or has lost it without knowing. The count is of invoices filed this turn.
    Holding(u8, u8),
    /// A request is under way.
    Filing(u8, u8),
    /// It is in the statement that releases the lane. The flag says whether that saw more work.
    Releasing(u8, bool),
    Marked(u8),
    Unmarking(u8),
    /// The wake-up is spent and not acknowledged yet.
    Spent(u8),
}

/// A set of lanes.
pub type LaneSet = [bool; MAX];

/// Where a wake loop stands in its round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WakeLoop {
    Idle,
    /// It is in the statement that marks these lanes. The flag says whether the queue was empty.
    Marking(LaneSet, bool),
    /// The lanes whose wake-ups are still to be published, and those where that failed.
    Publishing(LaneSet, LaneSet),
}

impl LedgerWorker {
    pub fn lane(self) -> Option<u8> {
        match self {
            Self::Idle => None,
            Self::Took { lane, .. }
            | Self::Committed(lane)
            | Self::Marking(lane)
            | Self::Marked(lane)
            | Self::Unmarking(lane)
            | Self::Done(lane)
            | Self::Uncommitted(lane) => Some(lane),
        }
    }

    /// Whether it has marked the lane for a wake-up that is not known to be in the queue.
    pub(super) fn has_unspent(self, l: u8) -> bool {
        matches!(self, Self::Marked(lane) | Self::Unmarking(lane) if lane == l)
    }

    pub(super) fn with_lanes_swapped(self) -> Self {
        match self {
            Self::Idle => Self::Idle,
            Self::Took { lane, repeated } => Self::Took {
                lane: 1 - lane,
                repeated,
            },
            Self::Committed(lane) => Self::Committed(1 - lane),
            Self::Marking(lane) => Self::Marking(1 - lane),
            Self::Marked(lane) => Self::Marked(1 - lane),
            Self::Unmarking(lane) => Self::Unmarking(1 - lane),
            Self::Done(lane) => Self::Done(1 - lane),
            Self::Uncommitted(lane) => Self::Uncommitted(1 - lane),
        }
    }
}

impl EtimsTask {
    pub fn lane(self) -> Option<u8> {
        match self {
            Self::Idle => None,
            Self::Took(lane)
            | Self::Holding(lane, _)
            | Self::Filing(lane, _)
            | Self::Releasing(lane, _)
            | Self::Marked(lane)
            | Self::Unmarking(lane)
            | Self::Spent(lane) => Some(lane),
        }
    }

    /// The lane that it works, or believes to work.
    pub fn worked_lane(self) -> Option<u8> {
        match self {
            Self::Holding(lane, _) | Self::Filing(lane, _) | Self::Releasing(lane, _) => Some(lane),
            _ => None,
        }
    }

    /// Whether it has a wake-up of the lane in hand that no claim has spent, or has marked the lane
    /// for one.
    pub(super) fn has_unspent(self, l: u8) -> bool {
        matches!(self, Self::Took(lane) | Self::Marked(lane) | Self::Unmarking(lane) if lane == l)
    }

    pub(super) fn with_lanes_swapped(self) -> Self {
        match self {
            Self::Idle => Self::Idle,
            Self::Took(lane) => Self::Took(1 - lane),
            Self::Holding(lane, done) => Self::Holding(1 - lane, done),
            Self::Filing(lane, done) => Self::Filing(1 - lane, done),
            Self::Releasing(lane, more) => Self::Releasing(1 - lane, more),
            Self::Marked(lane) => Self::Marked(1 - lane),
            Self::Unmarking(lane) => Self::Unmarking(1 - lane),
            Self::Spent(lane) => Self::Spent(1 - lane),
        }
    }
}

impl WakeLoop {
    /// Whether it has marked the lane for a wake-up that is not known to be in the queue.
    pub(super) fn has_unspent(self, l: u8) -> bool {
        let l = usize::from(l);
        matches!(self, Self::Publishing(left, failed) if left[l] || failed[l])
    }

    pub(super) fn with_lanes_swapped(self) -> Self {
        match self {
            Self::Idle => Self::Idle,
            Self::Marking([first, second], queue_was_empty) => {
                Self::Marking([second, first], queue_was_empty)
            }
            Self::Publishing(left, failed) => {
                Self::Publishing([left[1], left[0]], [failed[1], failed[0]])
            }
        }
    }
}
