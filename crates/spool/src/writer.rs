//! The one thread that touches the disk: gathers what waits, writes it in one commit, and mends after trouble.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use crate::disk::Medium;
use crate::error::Trouble;
use crate::spool::Shared;
use crate::store::Store;
use crate::{Condition, Entry, SpoolError, Status};

/// What one commit takes at most.
const BATCH_ENTRIES: usize = 1_024;
const BATCH_BYTES: usize = 16 << 20;
const REMOVALS_MAX: usize = 4_096;
/// Between two tries to open the file again.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_LONGEST: Duration = Duration::from_secs(5);

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

pub(crate) struct Writer<M> {
    medium: M,
    limit: u64,
    shared: Arc<Shared>,
    told: watch::Sender<Status>,
    state: State,
    /// The file was checked page by page since this process, or the last damage, began.
    checked: bool,
    setback: Option<Setback>,
    status: Status,
}

/// The last commit failed. The file is opened again at once, since what it holds can still be read and delivered; writing
/// waits, and no commit but one that succeeds ends it.
struct Setback {
    why: Arc<str>,
    again_at: Instant,
    pause: Duration,
}

enum State {
    Open(Store),
    Closed { why: Arc<str>, again_at: Instant, pause: Duration },
    Foreign(Arc<str>),
}

/// What is done in one go.
#[derive(Default)]
struct Batch {
    entries: Vec<Vec<u8>>,
    bytes: usize,
    waiting: Vec<Done<()>>,
    reads: Vec<Command>,
    /// Nothing waits behind it.
    empties: bool,
    /// Nobody is left to ask for more.
    orphaned: bool,
}

impl<M: Medium> Writer<M> {
    pub(crate) fn new(medium: M, limit: u64, shared: Arc<Shared>, told: watch::Sender<Status>) -> Self {
        let now = Instant::now();
        let state = State::Closed { why: "still opening".into(), again_at: now, pause: PAUSE_FIRST };
        Self { medium, limit, shared, told, state, checked: false, setback: None, status: Status::default() }
    }

    pub(crate) fn run(mut self, commands: &Receiver<Command>) {
        loop {
            self.open_if_due();
            self.tell();
            let mut batch = self.gather(commands);
            self.write(&mut batch);
            for read in std::mem::take(&mut batch.reads) {
                self.answer(read);
            }
            let closing = if batch.empties { self.shared.closing().take() } else { None };
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

    /// Waits for a command, or for the next thing to try; then takes what else is there.
    fn gather(&self, commands: &Receiver<Command>) -> Batch {
        let mut batch = Batch::default();
        let first = match self.wait() {
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

    /// How long nothing needs doing, if no command comes.
    fn wait(&self) -> Option<Duration> {
        match &self.state {
            State::Closed { again_at, .. } => Some(again_at.saturating_duration_since(Instant::now())),
            State::Open(_) => match &self.setback {
                Some(setback) => Some(setback.again_at.saturating_duration_since(Instant::now())),
                None => (!self.shared.removed().is_empty()).then_some(Duration::ZERO),
            },
            State::Foreign(_) => None,
        }
    }

    fn open_if_due(&mut self) {
        let State::Closed { again_at, pause, .. } = &self.state else { return };
        let pause = *pause;
        if Instant::now() < *again_at {
            return;
        }
        match attempt(|| Store::open(&mut self.medium, !self.checked)) {
            Ok(store) => {
                self.checked = true;
                self.state = State::Open(store);
                self.status.condition = match &self.setback {
                    Some(setback) => Condition::Failing(setback.why.clone()),
                    None => Condition::Writable,
                };
                self.count();
            }
            Err(trouble) => self.close_after(trouble, (pause * 2).clamp(PAUSE_FIRST, PAUSE_LONGEST)),
        }
        self.status.damaged_files = self.medium.damaged_files().unwrap_or(self.status.damaged_files);
    }

    fn close_after(&mut self, trouble: Trouble, pause: Duration) {
        let why = trouble.why().clone();
        let mut again_at = Instant::now() + pause;
        match trouble {
            Trouble::Foreign(why) => {
                self.status.condition = Condition::Foreign(why.clone());
                self.state = State::Foreign(why);
                return;
            }
            // Not believed before the whole file was looked at.
            Trouble::Damaged(why) if self.checked => {
                tracing::error!(%why, "the spool looks damaged: checking it");
                self.checked = false;
            }
            Trouble::Damaged(why) => match self.medium.set_aside() {
                Ok(name) => {
                    tracing::error!(%why, file = name, "THE SPOOL IS DAMAGED: what it holds is not delivered until somebody mends it; starting a fresh one");
                    again_at = Instant::now();
                }
                Err(error) => tracing::error!(%why, %error, "the spool is damaged and cannot be set aside"),
            },
            Trouble::Disk(why) => {
                if self.status.condition != Condition::Failing(why.clone()) {
                    tracing::error!(%why, "the spool cannot be used");
                }
            }
        }
        self.status.condition = Condition::Failing(why.clone());
        self.state = State::Closed { why, again_at, pause };
    }

    /// One commit for all that fits; nobody is told before it is on disk.
    fn write(&mut self, batch: &mut Batch) {
        let waiting = std::mem::take(&mut batch.waiting);
        let entries = std::mem::take(&mut batch.entries);
        let due = self.setback.as_ref().is_none_or(|setback| Instant::now() >= setback.again_at);
        let held_off = self.setback.as_ref().filter(|_| !due).map(|setback| setback.why.clone());
        let store = match (&mut self.state, held_off) {
            (State::Open(store), None) => store,
            (State::Closed { why, .. } | State::Foreign(why), None) => {
                let why = why.clone();
                return self.refuse_for_trouble(waiting, &why);
            }
            (_, Some(why)) => return self.refuse_for_trouble(waiting, &why),
        };
        let removals: BTreeSet<u64> = self.shared.removed().iter().copied().take(REMOVALS_MAX).collect();
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
        match attempt(|| store.change(&fitting, &removals)) {
            Ok(()) => {
                self.status.commits += 1;
                if self.setback.take().is_some() {
                    tracing::info!("the spool can be written to again");
                    self.status.condition = Condition::Writable;
                }
                if !removals.is_empty() {
                    self.shared.removed().retain(|number| !removals.contains(number));
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

    fn set_back(&mut self, trouble: Trouble) {
        let pause = self.setback.as_ref().map_or(PAUSE_FIRST, |before| (before.pause * 2).min(PAUSE_LONGEST));
        let why = trouble.why().clone();
        self.close_after(trouble, Duration::ZERO);
        self.setback = Some(Setback { why, again_at: Instant::now() + pause, pause });
    }

    fn refuse_for_trouble(&mut self, waiting: Vec<Done<()>>, why: &Arc<str>) {
        self.status.refused_disk += waiting.len() as u64;
        self.tell();
        let error = SpoolError::Disk(why.clone());
        waiting.into_iter().for_each(|done| tell(done, Err(error.clone())));
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
        refused.into_iter().for_each(|done| tell(done, Err(SpoolError::Full)));
    }

    fn answer(&mut self, read: Command) {
        let Command::Read { after, entries_max, bytes_max, done } = read else { return };
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
            self.close_after(trouble, PAUSE_FIRST);
            error
        });
        tell(done, answer);
    }

    fn count(&mut self) {
        let State::Open(store) = &self.state else { return };
        let counts = store.counts;
        self.status.entries = counts.entries.saturating_sub(self.shared.removed().len() as u64);
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

impl Batch {
    fn add(&mut self, command: Command) {
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

/// redb may panic on a file that was changed under it.
fn attempt<T>(work: impl FnOnce() -> Result<T, Trouble>) -> Result<T, Trouble> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Trouble::Damaged("the database cannot make sense of it".into())))
}

fn tell<T>(done: Done<T>, outcome: Result<T, SpoolError>) {
    // A caller that gave up needs no answer.
    done.send(outcome).ok();
}
