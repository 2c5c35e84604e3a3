//! The handle: asks the writer's thread, which alone touches the disk.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use crate::disk::{Disk, Medium};
use crate::writer::{Command, Writer};
use crate::{OpenError, SpoolError, Status};

/// Commands that wait for the thread; more are refused as [`SpoolError::Busy`].
const WAITING_MAX: usize = 4_096;

/// A log on disk. Cheap to clone; the thread ends with the last clone, or with [`close`](Spool::close).
#[derive(Clone)]
pub struct Spool {
    commands: SyncSender<Command>,
    status: watch::Receiver<Status>,
    shared: Arc<Shared>,
}

/// What must reach the thread even when its queue of commands is full.
#[derive(Default)]
pub(crate) struct Shared {
    removed: Mutex<BTreeSet<u64>>,
    closing: Mutex<Option<oneshot::Sender<()>>>,
    committing_since: Mutex<Option<Instant>>,
}

/// One entry, as it was appended.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// Ascending in the order of appending.
    pub number: u64,
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({}, {} bytes)", self.number, self.bytes.len())
    }
}

impl Spool {
    /// Takes the lock in `folder` and starts to open the spool there; [`status`](Self::status) tells how that ends.
    /// Trouble with the disk is not an error here: it is tried again.
    ///
    /// # Errors
    /// Another process has the lock.
    pub fn open(folder: &Path, limit_bytes: u64) -> Result<Self, OpenError> {
        let mut disk = Disk::new(folder);
        if let Ok(false) = disk.lock() {
            return Err(OpenError::Locked(disk.lock_path()));
        }
        Self::over(disk, limit_bytes)
    }

    pub(crate) fn over(medium: impl Medium, limit_bytes: u64) -> Result<Self, OpenError> {
        let (commands, received) = sync_channel(WAITING_MAX);
        let (told, status) = watch::channel(Status::default());
        let shared = Arc::new(Shared::default());
        let writer = Writer::new(medium, limit_bytes, Arc::clone(&shared), told);
        let thread = std::thread::Builder::new().name("spool".into());
        thread
            .spawn(move || writer.run(&received))
            .map_err(OpenError::Thread)?;
        Ok(Self {
            commands,
            status,
            shared,
        })
    }

    /// Returns when the entry is on disk.
    ///
    /// # Errors
    /// The entry is not stored, and will not be.
    pub async fn append(&self, bytes: Vec<u8>) -> Result<(), SpoolError> {
        let (done, outcome) = oneshot::channel();
        self.send(Command::Append { bytes, done })?;
        outcome.await.unwrap_or(Err(SpoolError::Closed))
    }

    /// The next entries behind number `after` (0: from the start), in order: at least one where there is one, else no more
    /// than `entries_max` and `bytes_max`.
    ///
    /// # Errors
    /// Nothing could be read.
    pub async fn read(
        &self,
        after: u64,
        entries_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Entry>, SpoolError> {
        let (done, outcome) = oneshot::channel();
        self.send(Command::Read {
            after,
            entries_max,
            bytes_max,
            done,
        })?;
        outcome.await.unwrap_or(Err(SpoolError::Closed))
    }

    /// These are done with. They are not read again while this process lives, and deleted from disk as soon as may be.
    pub fn remove(&self, numbers: impl IntoIterator<Item = u64>) {
        self.shared.removed().extend(numbers);
        self.nudge();
    }

    /// Follows the state.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// How long the disk has not answered the commit under way, if there is one.
    #[must_use]
    pub fn waits_for_disk(&self) -> Duration {
        self.shared
            .committing_since()
            .map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Finishes what waits, deletes what is removed, and closes the file in good order.
    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        self.shared.closing().replace(done);
        self.nudge();
        closed.await.ok();
    }

    fn nudge(&self) {
        // A thread whose queue is full is awake already.
        self.commands.try_send(Command::Look).ok();
    }

    fn send(&self, command: Command) -> Result<(), SpoolError> {
        self.commands
            .try_send(command)
            .map_err(|error| match error {
                TrySendError::Full(_) => SpoolError::Busy,
                TrySendError::Disconnected(_) => SpoolError::Closed,
            })
    }
}

impl Shared {
    /// Numbers of entries that are done with and may still be on disk.
    pub(crate) fn removed(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        // Each use is one change of the value, which a panic leaves whole.
        self.removed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn begins(&self) {
        *self.committing_since() = Some(Instant::now());
    }

    pub(crate) fn ends(&self) {
        *self.committing_since() = None;
    }

    fn committing_since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.committing_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Who waits for the end.
    pub(crate) fn closing(&self) -> MutexGuard<'_, Option<oneshot::Sender<()>>> {
        self.closing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
