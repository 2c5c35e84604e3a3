//! What is modelled of tokens and leases: the lanes' rows, the queue, and where each program stands.

/// Lanes there is room for, and actors of each kind.
pub const MAX: usize = 2;

/// `lanes.token_at`: empty, or so old.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mark {
    Empty,
    Fresh,
    /// Over 2 s.
    Seconds,
    /// Over 10 minutes.
    Minutes,
}

/// A row of `lane_leases`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lease {
    Nobodys,
    /// Its worker died, or forgot it.
    Left,
    Held(u8),
    /// `lease_until` is past; the claim id is there until somebody takes the lane.
    RunOut(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane {
    /// Invoices to file.
    pub work: u8,
    pub mark: Mark,
    pub lease: Lease,
    /// `retry_at` is yet to come.
    pub waits: bool,
    pub halted: bool,
    /// Tokens in the queue. Which comes next is left open.
    pub queued: u8,
    /// Paid sales whose messages wait, not recorded yet and recorded already.
    pub owed: u8,
    pub told: u8,
}

/// Where a ledger worker stands with the message of a paid sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Recorder {
    Idle,
    Took {
        lane: u8,
        again: bool,
    },
    Committed(u8),
    /// Amid the statement that marks the lane.
    Marking(u8),
    Marked(u8),
    /// Its mark has no token, as far as it knows.
    Unmarking(u8),
    Done(u8),
    /// Of `TokenBeforeCommit`: the token is out, the commit is not.
    Uncommitted(u8),
}

/// Where an etims-worker stands with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Task {
    Idle,
    Took(u8),
    /// It has, or had, the lane, and filed so many of this quantum.
    Holding(u8, u8),
    /// An invoice is out.
    Filing(u8, u8),
    /// Amid the statement that lets go; whether it saw more work.
    Releasing(u8, bool),
    Marked(u8),
    Unmarking(u8),
    Spent(u8),
}

/// A set of lanes.
pub type Set = [bool; MAX];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Waker {
    Idle,
    /// Amid the statement that marks; whether the queue was empty.
    Marking(Set, bool),
    /// Marked lanes whose tokens are to be published, and those where that failed.
    Publishing(Set, Set),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct State {
    pub lanes: [Lane; MAX],
    pub recorders: [Recorder; MAX],
    pub tasks: [Task; MAX],
    pub wakers: [Waker; MAX],
    /// How often something may go wrong yet.
    pub faults: u8,
    /// A worker wrote whose claim was gone.
    pub blind: bool,
    /// A token came about that no rule accounts for.
    pub surplus: bool,
}

impl Lease {
    pub fn holder(self) -> Option<u8> {
        match self {
            Self::Held(w) | Self::RunOut(w) => Some(w),
            Self::Nobodys | Self::Left => None,
        }
    }

    /// Anybody may take the lane.
    pub fn free(self) -> bool {
        matches!(self, Self::Nobodys | Self::RunOut(_))
    }
}

impl Lane {
    /// Neither halted nor to wait.
    pub fn open(&self) -> bool {
        !self.halted && !self.waits
    }
}

impl Recorder {
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
}

impl Task {
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

    /// It works the lane, or believes to.
    pub fn works(self) -> Option<u8> {
        match self {
            Self::Holding(lane, _) | Self::Filing(lane, _) | Self::Releasing(lane, _) => Some(lane),
            _ => None,
        }
    }
}

impl State {
    pub fn new(lanes: u8, payments: u8, faults: u8) -> Self {
        let lane = |l| Lane {
            work: 0,
            mark: Mark::Empty,
            lease: Lease::Nobodys,
            waits: false,
            halted: false,
            queued: 0,
            owed: if l < lanes { payments } else { 0 },
            told: 0,
        };
        Self {
            lanes: [lane(0), lane(1)],
            recorders: [Recorder::Idle; MAX],
            tasks: [Task::Idle; MAX],
            wakers: [Waker::Idle; MAX],
            faults,
            blind: false,
            surplus: false,
        }
    }

    pub fn lane(&mut self, l: u8) -> &mut Lane {
        &mut self.lanes[usize::from(l)]
    }

    pub fn queue_is_empty(&self) -> bool {
        self.lanes.iter().all(|lane| lane.queued == 0)
    }

    /// Tokens of a lane that no claim has spent yet: queued, in hand, and marked to be published.
    pub fn unspent(&self, l: u8) -> u8 {
        let recorder = |recorder: &&Recorder| matches!(recorder, Recorder::Marked(lane) | Recorder::Unmarking(lane) if *lane == l);
        let task = |task: &&Task| matches!(task, Task::Took(lane) | Task::Marked(lane) | Task::Unmarking(lane) if *lane == l);
        let waker = |waker: &&Waker| matches!(waker, Waker::Publishing(left, failed) if left[usize::from(l)] || failed[usize::from(l)]);
        let count = self.recorders.iter().filter(recorder).count()
            + self.tasks.iter().filter(task).count()
            + self.wakers.iter().filter(waker).count();
        self.lanes[usize::from(l)].queued + count as u8
    }

    /// Unspent tokens beyond the one that the lane's mark stands for.
    pub fn excess(&self, l: u8) -> u8 {
        let marked = u8::from(self.lanes[usize::from(l)].mark != Mark::Empty);
        self.unspent(l).saturating_sub(marked)
    }

    /// Somebody else has the lane's row in a statement just now.
    pub fn busy(&self, l: u8) -> bool {
        let set = |waker: &Waker| matches!(waker, Waker::Marking(set, _) if set[usize::from(l)]);
        let releasing = |task: &Task| matches!(task, Task::Releasing(lane, _) if *lane == l);
        self.wakers.iter().any(set)
            || self.tasks.iter().any(releasing)
            || self
                .recorders
                .iter()
                .filter(|recorder| **recorder == Recorder::Marking(l))
                .count()
                > 1
    }

    /// Makes equal situations equal states: actors of a kind, and lanes, differ in nothing but where they stand.
    pub fn forget(&mut self, lanes: u8) {
        self.sort_actors();
        if lanes > 1 {
            let mut other = *self;
            other.swap_lanes();
            other.sort_actors();
            *self = other.min(*self);
        }
    }

    /// The idle last.
    fn sort_actors(&mut self) {
        self.recorders.sort_unstable_by(|a, b| b.cmp(a));
        self.wakers.sort_unstable_by(|a, b| b.cmp(a));
        let holds = |state: &Self, w: u8| state.lanes.map(|lane| lane.lease.holder() == Some(w));
        if (self.tasks[0], holds(self, 0)) < (self.tasks[1], holds(self, 1)) {
            self.tasks.swap(0, 1);
            for lane in &mut self.lanes {
                lane.lease = match lane.lease {
                    Lease::Held(w) => Lease::Held(1 - w),
                    Lease::RunOut(w) => Lease::RunOut(1 - w),
                    other => other,
                };
            }
        }
    }

    fn swap_lanes(&mut self) {
        self.lanes.swap(0, 1);
        for recorder in &mut self.recorders {
            *recorder = match *recorder {
                Recorder::Idle => Recorder::Idle,
                Recorder::Took { lane, again } => Recorder::Took {
                    lane: 1 - lane,
                    again,
                },
                Recorder::Committed(lane) => Recorder::Committed(1 - lane),
                Recorder::Marking(lane) => Recorder::Marking(1 - lane),
                Recorder::Marked(lane) => Recorder::Marked(1 - lane),
                Recorder::Unmarking(lane) => Recorder::Unmarking(1 - lane),
                Recorder::Done(lane) => Recorder::Done(1 - lane),
                Recorder::Uncommitted(lane) => Recorder::Uncommitted(1 - lane),
            };
        }
        for task in &mut self.tasks {
            *task = match *task {
                Task::Idle => Task::Idle,
                Task::Took(lane) => Task::Took(1 - lane),
                Task::Holding(lane, done) => Task::Holding(1 - lane, done),
                Task::Filing(lane, done) => Task::Filing(1 - lane, done),
                Task::Releasing(lane, more) => Task::Releasing(1 - lane, more),
                Task::Marked(lane) => Task::Marked(1 - lane),
                Task::Unmarking(lane) => Task::Unmarking(1 - lane),
                Task::Spent(lane) => Task::Spent(1 - lane),
            };
        }
        for waker in &mut self.wakers {
            match waker {
                Waker::Idle => {}
                Waker::Marking(set, _) => set.swap(0, 1),
                Waker::Publishing(left, failed) => (left.swap(0, 1), failed.swap(0, 1)).0,
            }
        }
    }
}
