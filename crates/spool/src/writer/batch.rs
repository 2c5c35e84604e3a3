//! What waits for the thread, taken together: a commit costs an fsync, however much is in it.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::{Entry, SpoolError};

/// What one commit takes at most.
const BATCH_ENTRIES: usize = 1_024;
const BATCH_BYTES: usize = 16 << 20;

pub(crate) type Done<T> = oneshot::Sender<Result<T, SpoolError>>;

pub(crate) enum Command {
    Append {
        bytes: Vec<u8>,
        done: Done<()>,
    },
    Read {
        after: u64,
        entries_max: usize,
        bytes_max: usize,
        done: Done<Vec<Entry>>,
    },
    /// There may be something to remove, or the end may be near.
    Look,
}

/// What is done in one go.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) entries: Vec<Vec<u8>>,
    bytes: usize,
    pub(super) waiting: Vec<Done<()>>,
    pub(super) reads: Vec<Command>,
    /// Nothing waits behind it.
    pub(super) empties: bool,
    /// Nobody is left to ask for more.
    pub(super) orphaned: bool,
}

impl Batch {
    /// Waits for a command, no longer than `wait`; then takes what else is there.
    pub(super) fn gather(commands: &Receiver<Command>, wait: Option<Duration>) -> Self {
        let mut batch = Self::default();
        let first = match wait {
            Some(wait) => commands.recv_timeout(wait),
            None => commands.recv().map_err(RecvTimeoutError::from),
        };
        match first {
            Ok(command) => batch.add(command),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => batch.orphaned = true,
        }
        while !batch.is_full() {
            match commands.try_recv() {
                Ok(command) => batch.add(command),
                Err(_) => {
                    batch.empties = true;
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
            Command::Read { .. } => self.reads.push(command),
            Command::Look => {}
        }
    }

    fn is_full(&self) -> bool {
        self.entries.len() >= BATCH_ENTRIES || self.bytes >= BATCH_BYTES
    }
}

pub(super) fn tell<T>(done: Done<T>, outcome: Result<T, SpoolError>) {
    // A caller that gave up needs no answer.
    done.send(outcome).ok();
}
