//! The file after trouble: closed, looked at page by page where it may be damaged, and opened again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Writer;
use crate::Condition;
use crate::disk::Medium;
use crate::error::Trouble;
use crate::store::Store;

/// Between two tries to open the file again.
pub(super) const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_LONGEST: Duration = Duration::from_secs(5);

/// The last commit failed. The file is opened again at once, since what it holds can still be read and delivered; writing
/// waits, and no commit but one that succeeds ends it.
pub(super) struct Setback {
    pub(super) why: Arc<str>,
    pub(super) again_at: Instant,
}

pub(super) enum State {
    Open(Store),
    Closed {
        why: Arc<str>,
        again_at: Instant,
        pause: Duration,
    },
    Foreign(Arc<str>),
}

impl State {
    /// To be opened at once.
    pub(super) fn unopened() -> Self {
        Self::Closed {
            why: "still opening".into(),
            again_at: Instant::now(),
            pause: PAUSE_FIRST,
        }
    }
}

impl<M: Medium> Writer<M> {
    /// How long nothing needs doing, if no command comes.
    pub(super) fn wait(&self) -> Option<Duration> {
        match &self.state {
            State::Closed { again_at, .. } => {
                Some(again_at.saturating_duration_since(Instant::now()))
            }
            State::Open(_) => match &self.setback {
                Some(setback) => Some(setback.again_at.saturating_duration_since(Instant::now())),
                None => (!self.shared.removed().is_empty()).then_some(Duration::ZERO),
            },
            State::Foreign(_) => None,
        }
    }

    pub(super) fn open_if_due(&mut self) {
        let State::Closed {
            again_at, pause, ..
        } = &self.state
        else {
            return;
        };
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
            Err(trouble) => {
                self.close_after(trouble, (pause * 2).clamp(PAUSE_FIRST, PAUSE_LONGEST))
            }
        }
        self.status.damaged_files = self
            .medium
            .damaged_files()
            .unwrap_or(self.status.damaged_files);
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
                Err(error) => {
                    tracing::error!(%why, %error, "the spool is damaged and cannot be set aside")
                }
            },
            Trouble::Disk(why) => {
                if self.status.condition != Condition::Failing(why.clone()) {
                    tracing::error!(%why, "the spool cannot be used");
                }
            }
        }
        self.status.condition = Condition::Failing(why.clone());
        self.state = State::Closed {
            why,
            again_at,
            pause,
        };
    }

    pub(super) fn set_back(&mut self, trouble: Trouble) {
        let why = trouble.why().clone();
        self.close_after(trouble, Duration::ZERO);
        self.setback = Some(Setback {
            why,
            again_at: Instant::now() + self.patience,
        });
        // On a disk almost full the least commit succeeds and the next one fails.
        self.patience = (self.patience * 2).min(PAUSE_LONGEST);
    }

    /// What was read makes no sense, or could not be read.
    pub(super) fn close_and_retry(&mut self, trouble: Trouble) {
        self.close_after(trouble, PAUSE_FIRST);
    }
}

/// redb may panic on a file that was changed under it.
pub(super) fn attempt<T>(work: impl FnOnce() -> Result<T, Trouble>) -> Result<T, Trouble> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(Trouble::Damaged(
            "the database cannot make sense of it".into(),
        ))
    })
}

#[cfg(test)]
mod tests {
    use tokio::sync::{oneshot, watch};

    use super::*;
    use crate::Status;
    use crate::disk::Disk;
    use crate::writer::batch::{Batch, Command};

    #[test]
    fn on_a_disk_almost_full_an_empty_commit_that_succeeds_does_not_end_the_patience() {
        let folder = tempfile::tempdir().unwrap();
        let (told, _status) = watch::channel(Status::default());
        let mut writer = Writer::new(Disk::new(folder.path()), 1 << 20, Arc::default(), told);
        writer.open_if_due();
        writer.set_back(Trouble::Disk("no space left".into()));
        writer.open_if_due();
        writer.setback.as_mut().unwrap().again_at = Instant::now();
        writer.write(&mut Batch::default());
        assert!(writer.setback.is_none());
        assert_eq!(writer.patience, PAUSE_FIRST * 2);
        let mut batch = Batch::default();
        batch.add(Command::Append {
            bytes: vec![1],
            done: oneshot::channel().0,
        });
        writer.write(&mut batch);
        assert_eq!(writer.patience, PAUSE_FIRST);
    }
}
