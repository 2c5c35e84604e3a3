//! The one thread that touches the disk: gathers what waits, writes it in one commit, and mends after trouble.

mod batch;
mod mend;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use crate::disk::Medium;
use crate::spool::Shared;
use crate::{Condition, SpoolError, Status};

pub(crate) use batch::Command;
use batch::{Batch, Done, tell};
use mend::{PAUSE_FIRST, Setback, State, attempt};

/// What one commit deletes at most.
const REMOVALS_MAX: usize = 4_096;

pub(crate) struct Writer<M> {
    medium: M,
    limit: u64,
    shared: Arc<Shared>,
    told: watch::Sender<Status>,
    state: State,
    /// The file was checked page by page since this process, or the last damage, began.
    checked: bool,
    setback: Option<Setback>,
    /// Before the next try at writing, should it fail; back to the shortest only once something was written.
    patience: Duration,
    status: Status,
}

impl<M: Medium> Writer<M> {
    pub(crate) fn new(
        medium: M,
        limit: u64,
        shared: Arc<Shared>,
        told: watch::Sender<Status>,
    ) -> Self {
        let state = State::unopened();
        let status = Status::default();
        Self {
            medium,
            limit,
            shared,
            told,
            state,
            checked: false,
            setback: None,
            patience: PAUSE_FIRST,
            status,
        }
    }

    pub(crate) fn run(mut self, commands: &Receiver<Command>) {
        loop {
            self.open_if_due();
            self.tell();
            let mut batch = Batch::gather(commands, self.wait());
            self.write(&mut batch);
            for read in std::mem::take(&mut batch.reads) {
                self.answer(read);
            }
            let closing = if batch.empties {
                self.shared.closing().take()
            } else {
                None
            };
            if closing.is_some() || batch.orphaned {
                // Removed while this batch was written.
                while matches!(self.state, State::Open(_))
                    && self.setback.is_none()
                    && !self.shared.removed().is_empty()
                {
                    self.write(&mut Batch::default());
                }
                return self.end(closing);
            }
        }
    }

    /// One commit for all that fits; nobody is told before it is on disk.
    fn write(&mut self, batch: &mut Batch) {
        let waiting = std::mem::take(&mut batch.waiting);
        let entries = std::mem::take(&mut batch.entries);
        let due = self
            .setback
            .as_ref()
            .is_none_or(|setback| Instant::now() >= setback.again_at);
        let held_off = self
            .setback
            .as_ref()
            .filter(|_| !due)
            .map(|setback| setback.why.clone());
        let store = match (&mut self.state, held_off) {
            (State::Open(store), None) => store,
            (State::Closed { why, .. } | State::Foreign(why), None) => {
                let why = why.clone();
                return self.refuse_for_trouble(waiting, &why);
            }
            (_, Some(why)) => return self.refuse_for_trouble(waiting, &why),
        };
        let removals: BTreeSet<u64> = self
            .shared
            .removed()
            .iter()
            .copied()
            .take(REMOVALS_MAX)
            .collect();
        let mut room = self.limit.saturating_sub(store.counts.bytes);
        let (mut fitting, mut stored, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        for (bytes, done) in entries.into_iter().zip(waiting) {
            if bytes.len() as u64 <= room {
                room -= bytes.len() as u64;
                fitting.push(bytes);
                stored.push(done);
            } else {
                refused.push(done);
            }
        }
        if fitting.is_empty() && removals.is_empty() && self.setback.is_none() {
            return self.refuse(refused);
        }
        self.shared.begins();
        let changed = attempt(|| store.change(&fitting, &removals));
        self.shared.ends();
        match changed {
            Ok(()) => {
                self.status.commits += 1;
                if !fitting.is_empty() || !removals.is_empty() {
                    self.patience = PAUSE_FIRST;
                }
                if self.setback.take().is_some() {
                    tracing::info!("the spool can be written to again");
                    self.status.condition = Condition::Writable;
                }
                if !removals.is_empty() {
                    self.shared
                        .removed()
                        .retain(|number| !removals.contains(number));
                    self.status.condition = Condition::Writable;
                }
                self.count();
                self.tell();
                stored.into_iter().for_each(|done| tell(done, Ok(())));
            }
            Err(trouble) => {
                let why = trouble.why().clone();
                self.set_back(trouble);
                self.refuse_for_trouble(stored, &why);
            }
        }
        self.refuse(refused);
    }

    fn refuse_for_trouble(&mut self, waiting: Vec<Done<()>>, why: &Arc<str>) {
        self.status.refused_disk += waiting.len() as u64;
        self.tell();
        let error = SpoolError::Disk(why.clone());
        waiting
            .into_iter()
            .for_each(|done| tell(done, Err(error.clone())));
    }

    fn refuse(&mut self, refused: Vec<Done<()>>) {
        if refused.is_empty() {
            return;
        }
        if self.status.condition == Condition::Writable {
            tracing::error!(
                limit = self.limit,
                "THE SPOOL IS FULL: webhooks get 503 until the broker takes some of it"
            );
            self.status.condition = Condition::Full;
        }
        self.status.refused_full += refused.len() as u64;
        self.tell();
        refused
            .into_iter()
            .for_each(|done| tell(done, Err(SpoolError::Full)));
    }

    fn answer(&mut self, read: Command) {
        let Command::Read {
            after,
            entries_max,
            bytes_max,
            done,
        } = read
        else {
            return;
        };
        let store = match &self.state {
            State::Open(store) => store,
            State::Closed { why, .. } | State::Foreign(why) => {
                return tell(done, Err(SpoolError::Disk(why.clone())));
            }
        };
        let removed = self.shared.removed().clone();
        let read = attempt(|| store.read(after, &removed, entries_max, bytes_max));
        let answer = read.map_err(|trouble| {
            let error = SpoolError::Disk(trouble.why().clone());
            self.close_and_retry(trouble);
            error
        });
        tell(done, answer);
    }

    fn count(&mut self) {
        let State::Open(store) = &self.state else {
            return;
        };
        let counts = store.counts;
        self.status.entries = counts.entries;
        self.status.bytes = counts.bytes;
        self.status.oldest = counts.oldest;
    }

    fn tell(&self) {
        self.told.send_if_modified(|told| {
            let changed = *told != self.status;
            told.clone_from(&self.status);
            changed
        });
    }

    fn end(mut self, done: Option<oneshot::Sender<()>>) {
        self.state = State::Foreign("closed".into());
        self.status.condition = Condition::Closed;
        self.tell();
        // The lock goes before anybody is told.
        drop(self);
        if let Some(done) = done {
            done.send(()).ok();
        }
    }
}
