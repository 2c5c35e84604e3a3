//! What is modelled of a cap: each worker's row, what the worker itself believes, and its calls.

/// A call lasts this many ticks at most.
pub(super) const CALL: usize = 2;
/// A heartbeat so many ticks old lets no call begin, and its worker counts as gone. The programs
/// begin no call at half of that already.
pub(super) const EXPIRY: u8 = 1;
/// A row so old can be removed.
pub(super) const REMOVABLE: u8 = EXPIRY + CALL as u8;

/// A worker's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Row {
    pub share: u8,
    /// Ticks since the heartbeat.
    pub age: u8,
}

/// A statement whose answer the worker has not seen yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Waiting {
    Renewed {
        recorded: Option<u8>,
        taken: u8,
        age: u8,
        /// Whether the row is as this heartbeat left it.
        current: bool,
    },
    Raised {
        share: u8,
        age: u8,
    },
}

/// A lower share that is not recorded yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LowerShare {
    pub share: u8,
    /// Whether the row is as the heartbeat left it that this share follows from.
    pub current: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Worker {
    pub lives: bool,
    pub row: Option<Row>,
    pub waiting: Option<Waiting>,
    pub lower: Option<LowerShare>,
    /// The share that the worker uses.
    pub share: u8,
    /// What the last heartbeat found that the worker has settled, for a variant without a lock.
    pub taken: u8,
    /// Ticks since the last heartbeat that the worker knows of.
    pub heartbeat: u8,
    /// Its calls by age, those that it has left behind among them.
    pub calls: [u8; CALL],
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CapState {
    pub workers: Vec<Worker>,
    /// Whether a share was lent: somebody had more than an equal part while others lived.
    pub lent: bool,
    /// Whether the row of a dead worker was removed.
    pub reclaimed: bool,
}

impl Worker {
    pub(super) fn calls(&self) -> u8 {
        self.calls.iter().sum()
    }

    /// The row is no longer as an earlier heartbeat left it.
    pub(super) fn row_changed(&mut self) {
        if let Some(lower) = &mut self.lower {
            lower.current = false;
        }
        if let Some(Waiting::Renewed { current, .. }) = &mut self.waiting {
            *current = false;
        }
    }

    pub(super) fn grow_older(&mut self) {
        if let Some(row) = &mut self.row {
            row.age = (row.age + 1).min(REMOVABLE);
        }
        if let Some(Waiting::Renewed { age, .. } | Waiting::Raised { age, .. }) = &mut self.waiting
        {
            *age = (*age + 1).min(EXPIRY);
        }
        self.heartbeat = (self.heartbeat + 1).min(EXPIRY);
        self.calls.rotate_right(1);
        self.calls[0] = 0;
    }
}

impl CapState {
    pub(super) fn new(workers: usize) -> Self {
        Self {
            workers: vec![Worker::default(); workers],
            lent: false,
            reclaimed: false,
        }
    }

    pub fn calls(&self) -> u8 {
        self.workers.iter().map(Worker::calls).sum()
    }

    /// The sum of the rows of others that somebody may still hold.
    pub(super) fn taken_from(&self, worker: usize, removable: u8) -> u8 {
        let others = self.workers.iter().enumerate();
        others
            .filter(|(other, _)| *other != worker)
            .filter_map(|(_, other)| other.row)
            .filter(|row| row.age < removable)
            .map(|row| row.share)
            .sum()
    }
}
