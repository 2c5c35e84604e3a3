//! The one thread that touches the disk. It gathers the commands that wait, writes them in one
//! commit, and opens the file again after a failure.

mod batch;
mod recovery;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use crate::disk::Medium;
use crate::spool::Shared;
use crate::store::Store;
use crate::{Condition, SpoolError, Status};
use batch::{Batch, Done, FittingEntries, answer};
use recovery::{FileState, PAUSE_FIRST, WriteFailure, attempt};

pub(crate) use batch::{Command, ReadRequest};

/// Entries that one commit deletes at most.
const REMOVALS_MAX: usize = 4_096;

pub(crate) struct Writer<M> {
    medium: M,
    limit: u64,
    shared: Arc<Shared>,
    status_sender: watch::Sender<Status>,
    file: FileState,
    /// Whether every page was checked since this process started, or since the last damage.
    checked: bool,
    write_failure: Option<WriteFailure>,
    /// The pause after the next failed write. It is the shortest again once something was written.
    write_pause: Duration,
    status: Status,
}

impl<M: Medium> Writer<M> {
    pub(crate) fn new(
        medium: M,
        limit: u64,
        shared: Arc<Shared>,
        status_sender: watch::Sender<Status>,
    ) -> Self {
        Self {
            medium,
            limit,
            shared,
            status_sender,
            file: FileState::unopened(),
            checked: false,
            write_failure: None,
            write_pause: PAUSE_FIRST,
            status: Status::default(),
        }
    }

    pub(crate) fn run(mut self, commands: &Receiver<Command>) {
        loop {
            self.open_if_due();
            self.publish_status();
            let mut batch = Batch::gather(commands, self.wait());
            self.write(&mut batch);
            self.shared.remove_waiting(batch.bytes);
            for request in std::mem::take(&mut batch.reads) {
                self.read(request);
            }

            // Closing waits until no command is left.
            let closing = if batch.is_last {
                self.shared.closing().take()
            } else {
                None
            };
            if closing.is_some() || batch.is_orphaned {
                self.finish_removals();
                return self.end(closing);
            }
        }
    }

    /// Deletes what was removed while the last batch was written.
    fn finish_removals(&mut self) {
        while matches!(self.file, FileState::Open(_))
            && self.write_failure.is_none()
            && !self.shared.removed().is_empty()
        {
            self.write(&mut Batch::default());
        }
    }

    /// Writes all that fits in one commit. Callers are answered once it is on disk.
    fn write(&mut self, batch: &mut Batch) {
        let waiting = std::mem::take(&mut batch.waiting);
        let entries = std::mem::take(&mut batch.entries);
        let store = match writable_store(&mut self.file, self.write_failure.as_ref()) {
            Ok(store) => store,
            Err(why) => return self.refuse_for_disk(waiting, &why),
        };

        let removals = next_removals(&self.shared);
        let bytes_left = self.limit.saturating_sub(store.counts.bytes);
        let fitting = FittingEntries::select(entries, waiting, bytes_left);
        // After a failure even an empty commit is worth a try, because its success ends the
        // failure.
        let has_changes = !fitting.entries.is_empty() || !removals.is_empty();
        if !has_changes && self.write_failure.is_none() {
            return self.refuse_as_full(fitting.refused);
        }

        self.shared.commit_started();
        let changed = attempt(|| store.change(&fitting.entries, &removals));
        self.shared.commit_ended();
        match changed {
            Ok(()) => {
                if has_changes {
                    self.write_pause = PAUSE_FIRST;
                }
                self.record_commit(&removals);
                for done in fitting.waiting {
                    answer(done, Ok(()));
                }
            }
            Err(error) => {
                let why = error.why().clone();
                self.record_write_failure(error);
                self.refuse_for_disk(fitting.waiting, &why);
            }
        }
        self.refuse_as_full(fitting.refused);
    }

    fn record_commit(&mut self, removals: &BTreeSet<u64>) {
        self.status.commits += 1;
        if self.write_failure.take().is_some() {
            tracing::info!("the spool can be written to again");
            self.status.condition = Condition::Writable;
        }
        if !removals.is_empty() {
            self.shared
                .removed()
                .retain(|number| !removals.contains(number));
            self.status.condition = Condition::Writable;
        }
        self.copy_counts();
        self.publish_status();
    }

    fn refuse_for_disk(&mut self, waiting: Vec<Done<()>>, why: &Arc<str>) {
        self.status.refused_disk += waiting.len() as u64;
        self.publish_status();
        for done in waiting {
            answer(done, Err(SpoolError::Disk(why.clone())));
        }
    }

    fn refuse_as_full(&mut self, refused: Vec<Done<()>>) {
        if refused.is_empty() {
            return;
        }
        if self.status.condition == Condition::Writable {
            tracing::error!(
                limit = self.limit,
                "THE SPOOL IS FULL: webhooks get 503 until some of it is delivered"
            );
            self.status.condition = Condition::Full;
        }
        self.status.refused_full += refused.len() as u64;
        self.publish_status();
        for done in refused {
            answer(done, Err(SpoolError::Full));
        }
    }

    fn read(&mut self, request: ReadRequest) {
        let ReadRequest {
            after,
            entries_max,
            bytes_max,
            done,
        } = request;
        let store = match &self.file {
            FileState::Open(store) => store,
            FileState::Closed { why, .. } | FileState::Unusable(why) => {
                return answer(done, Err(SpoolError::Disk(why.clone())));
            }
        };

        let removed = self.shared.removed().clone();
        let outcome = attempt(|| store.read(after, &removed, entries_max, bytes_max));
        let outcome = outcome.map_err(|error| {
            let why = error.why().clone();
            self.close_after(error, PAUSE_FIRST);
            SpoolError::Disk(why)
        });
        answer(done, outcome);
    }

    fn copy_counts(&mut self) {
        if let FileState::Open(store) = &self.file {
            self.status.entries = store.counts.entries;
            self.status.bytes = store.counts.bytes;
            self.status.oldest = store.counts.oldest;
        }
    }

    fn publish_status(&self) {
        self.status_sender.send_if_modified(|published| {
            let changed = *published != self.status;
            published.clone_from(&self.status);
            changed
        });
    }

    fn end(mut self, done: Option<oneshot::Sender<()>>) {
        self.file = FileState::Unusable("closed".into());
        self.status.condition = Condition::Closed;
        self.publish_status();
        // The lock is released before the caller learns that the spool is closed.
        drop(self);
        if let Some(done) = done {
            done.send(()).ok();
        }
    }
}

/// The open store, or why nothing can be written now.
fn writable_store<'a>(
    file: &'a mut FileState,
    write_failure: Option<&WriteFailure>,
) -> Result<&'a mut Store, Arc<str>> {
    if let Some(failure) = write_failure
        && Instant::now() < failure.retry_at
    {
        return Err(failure.why.clone());
    }
    match file {
        FileState::Open(store) => Ok(store),
        FileState::Closed { why, .. } | FileState::Unusable(why) => Err(why.clone()),
    }
}

fn next_removals(shared: &Shared) -> BTreeSet<u64> {
    shared
        .removed()
        .iter()
        .copied()
        .take(REMOVALS_MAX)
        .collect()
}
