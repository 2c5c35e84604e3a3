//! The handle of a spool. It sends commands to the writer's thread, which alone touches the disk.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use crate::disk::{Disk, Lock, Medium};
use crate::writer::{Command, ReadRequest, Writer};
use crate::{OpenError, SpoolError, Status};

/// Commands that may wait for the thread. More are refused as [`SpoolError::Busy`].
const WAITING_MAX: usize = 4_096;
/// Bytes of entries that may wait for the thread, which a disk that hangs would keep in memory. More are
/// refused as [`SpoolError::Busy`].
pub(crate) const WAITING_BYTES_MAX: usize = 32 << 20;

/// A log on disk. It is cheap to clone. Its thread ends with the last clone, or with
/// [`close`](Spool::close).
#[derive(Clone)]
pub struct Spool {
    commands: SyncSender<Command>,
    status: watch::Receiver<Status>,
    shared: Arc<Shared>,
}

/// What must reach the thread even when its queue of commands is full, or while it waits for the
/// disk.
#[derive(Default)]
pub(crate) struct Shared {
    removed: Mutex<BTreeSet<u64>>,
    closing: Mutex<Option<oneshot::Sender<()>>>,
    committing_since: Mutex<Option<Instant>>,
    /// Bytes of the entries that wait for the thread or are being written.
    waiting_bytes: AtomicUsize,
}

/// One entry, as it was appended.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// Numbers ascend in the order of appending.
    pub number: u64,
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({}, {} bytes)", self.number, self.bytes.len())
    }
}

impl Spool {
    /// Takes the lock in `folder` and starts to open the spool there. [`status`](Self::status)
    /// reports how that ends. A disk that fails is not an error here, because opening is tried
    /// again.
    ///
    /// # Errors
    /// Another process has the lock, or the thread cannot be started.
    pub fn open(folder: &Path, limit_bytes: u64) -> Result<Self, OpenError> {
        let mut disk = Disk::new(folder);
        if let Ok(Lock::HeldByAnother) = disk.lock() {
            return Err(OpenError::Locked(disk.lock_path()));
        }
        Self::with_medium(disk, limit_bytes)
    }

    pub(crate) fn with_medium(medium: impl Medium, limit_bytes: u64) -> Result<Self, OpenError> {
        let (commands, received) = sync_channel(WAITING_MAX);
        let (status_sender, status) = watch::channel(Status::default());
        let shared = Arc::new(Shared::default());
        let writer = Writer::new(medium, limit_bytes, Arc::clone(&shared), status_sender);
        std::thread::Builder::new()
            .name("spool".into())
            .spawn(move || writer.run(&received))
            .map_err(OpenError::Thread)?;
        Ok(Self {
            commands,
            status,
            shared,
        })
    }

    /// Appends an entry, and returns when it is on disk.
    ///
    /// # Errors
    /// The entry is not stored, and will not be.
    pub async fn append(&self, bytes: Vec<u8>) -> Result<(), SpoolError> {
        let (done, outcome) = oneshot::channel();
        let length = bytes.len();
        self.shared.add_waiting(length)?;
        if let Err(error) = self.send(Command::Append { bytes, done }) {
            self.shared.remove_waiting(length);
            return Err(error);
        }
        outcome.await.unwrap_or(Err(SpoolError::Closed))
    }

    /// Reads the entries after number `after` in order. 0 reads from the start. It returns no more
    /// than `entries_max` and `bytes_max`, but at least one entry if there is one.
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
        self.send(Command::Read(ReadRequest {
            after,
            entries_max,
            bytes_max,
            done,
        }))?;
        outcome.await.unwrap_or(Err(SpoolError::Closed))
    }

    /// Removes entries. They are not read again while this process lives, and they are deleted from
    /// disk as soon as the disk allows it.
    pub fn remove(&self, numbers: impl IntoIterator<Item = u64>) {
        self.shared.removed().extend(numbers);
        self.nudge();
    }

    /// The status, with its changes.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// How long the commit under way has waited for the disk. It is zero if there is none.
    #[must_use]
    pub fn waits_for_disk(&self) -> Duration {
        self.shared
            .committing_since()
            .map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Finishes the commands that wait, deletes what is removed, and closes the file.
    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        self.shared.closing().replace(done);
        self.nudge();
        closed.await.ok();
    }

    fn nudge(&self) {
        // A thread whose queue is full is awake already.
        self.commands.try_send(Command::Nudge).ok();
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
    /// Numbers of entries that are removed and may still be on disk.
    pub(crate) fn removed(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        // Each use is one change of the value, which a panic leaves whole.
        self.removed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the bytes of an entry. One alone may be of any size.
    fn add_waiting(&self, bytes: usize) -> Result<(), SpoolError> {
        let before = self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        if before > 0 && before + bytes > WAITING_BYTES_MAX {
            self.remove_waiting(bytes);
            return Err(SpoolError::Busy);
        }
        Ok(())
    }

    pub(crate) fn remove_waiting(&self, bytes: usize) {
        self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(crate) fn commit_started(&self) {
        *self.committing_since() = Some(Instant::now());
    }

    pub(crate) fn commit_ended(&self) {
        *self.committing_since() = None;
    }

    fn committing_since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.committing_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The caller that waits for the spool to close.
    pub(crate) fn closing(&self) -> MutexGuard<'_, Option<oneshot::Sender<()>>> {
        self.closing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
