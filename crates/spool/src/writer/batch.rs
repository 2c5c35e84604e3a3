//! The commands that wait for the thread, taken together. A commit costs one fsync, however much is
//! in it.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::{Entry, SpoolError};

/// Entries that one commit takes at most.
const BATCH_ENTRIES: usize = 1_024;
/// Bytes after which a batch takes no further entry.
const BATCH_BYTES: usize = 16 << 20;

/// Where the outcome of a command goes.
pub(crate) type Done<T> = oneshot::Sender<Result<T, SpoolError>>;

pub(crate) enum Command {
    Append {
        bytes: Vec<u8>,
        done: Done<()>,
    },
    Read(ReadRequest),
    /// There may be something to remove, or the spool may be closing.
    Nudge,
}

pub(crate) struct ReadRequest {
    pub(crate) after: u64,
    pub(crate) entries_max: usize,
    pub(crate) bytes_max: usize,
    pub(crate) done: Done<Vec<Entry>>,
}

/// The commands that are carried out together.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) entries: Vec<Vec<u8>>,
    /// Bytes of all entries together.
    pub(super) bytes: usize,
    /// The callers that wait for the entries, in the same order.
    pub(super) waiting: Vec<Done<()>>,
    pub(super) reads: Vec<ReadRequest>,
    /// Whether no further command waited when the batch was taken.
    pub(super) is_last: bool,
    /// Whether every handle is gone, so that no command can follow.
    pub(super) is_orphaned: bool,
}

impl Batch {
    /// Waits for a command, no longer than `wait`, and then takes the others that are there.
    pub(super) fn gather(commands: &Receiver<Command>, wait: Option<Duration>) -> Self {
        let mut batch = Self::default();
        let first = match wait {
            Some(wait) => commands.recv_timeout(wait),
            None => commands.recv().map_err(RecvTimeoutError::from),
        };
        match first {
            Ok(command) => batch.add(command),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => batch.is_orphaned = true,
        }
        while !batch.is_full() {
            match commands.try_recv() {
                Ok(command) => batch.add(command),
                Err(_) => {
                    batch.is_last = true;
                    break;
                }
            }
        }
        batch
    }

    pub(super) fn add(&mut self, command: Command) {
        match command {
            Command::Append { bytes, done } => {
                self.bytes += bytes.len();
                self.entries.push(bytes);
                self.waiting.push(done);
            }
            Command::Read(request) => self.reads.push(request),
            Command::Nudge => {}
        }
    }

    fn is_full(&self) -> bool {
        self.entries.len() >= BATCH_ENTRIES || self.bytes >= BATCH_BYTES
    }
}

/// The entries that fit below the spool's limit, and the callers that wait for them.
#[derive(Default)]
pub(super) struct FittingEntries {
    pub(super) entries: Vec<Vec<u8>>,
    pub(super) waiting: Vec<Done<()>>,
    /// The callers whose entries do not fit.
    pub(super) refused: Vec<Done<()>>,
}

impl FittingEntries {
    pub(super) fn select(
        entries: Vec<Vec<u8>>,
        waiting: Vec<Done<()>>,
        mut bytes_left: u64,
    ) -> Self {
        let mut selected = Self::default();
        for (bytes, done) in entries.into_iter().zip(waiting) {
            let length = bytes.len() as u64;
            if length <= bytes_left {
                bytes_left -= length;
                selected.entries.push(bytes);
                selected.waiting.push(done);
            } else {
                selected.refused.push(done);
            }
        }
        selected
    }
}

pub(super) fn answer<T>(done: Done<T>, outcome: Result<T, SpoolError>) {
    // A caller that gave up needs no answer.
    done.send(outcome).ok();
}
