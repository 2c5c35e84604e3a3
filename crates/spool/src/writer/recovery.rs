//! What happens to the file after a failure: it is closed, checked page by page if it may be
//! damaged, and opened again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Writer;
use crate::Condition;
use crate::disk::Medium;
use crate::error::StoreError;
use crate::store::Store;

/// The first pause between two attempts to open or write the file. Pauses grow up to the longest.
pub(super) const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_LONGEST: Duration = Duration::from_secs(5);

/// The last commit failed. The file is opened again at once, because what it holds can still be
/// read and delivered. Writing waits, and only a commit that succeeds ends the failure.
pub(super) struct WriteFailure {
    pub(super) why: Arc<str>,
    pub(super) retry_at: Instant,
}

pub(super) enum FileState {
    Open(Store),
    Closed {
        why: Arc<str>,
        retry_at: Instant,
        pause: Duration,
    },
    /// The file is not opened again.
    Unusable(Arc<str>),
}

impl FileState {
    /// A file that is opened at once.
    pub(super) fn unopened() -> Self {
        Self::Closed {
            why: "still opening".into(),
            retry_at: Instant::now(),
            pause: PAUSE_FIRST,
        }
    }
}

impl<M: Medium> Writer<M> {
    /// How long the thread may wait for a command. `None` means that nothing else can happen.
    pub(super) fn wait(&self) -> Option<Duration> {
        let until = |instant: Instant| instant.saturating_duration_since(Instant::now());
        match &self.file {
            FileState::Closed { retry_at, .. } => Some(until(*retry_at)),
            FileState::Open(_) => match &self.write_failure {
                Some(failure) => Some(until(failure.retry_at)),
                None => (!self.shared.removed().is_empty()).then_some(Duration::ZERO),
            },
            FileState::Unusable(_) => None,
        }
    }

    pub(super) fn open_if_due(&mut self) {
        let FileState::Closed {
            retry_at, pause, ..
        } = self.file
        else {
            return;
        };
        if Instant::now() < retry_at {
            return;
        }

        match attempt(|| Store::open(&mut self.medium, !self.checked)) {
            Ok(store) => {
                self.checked = true;
                self.file = FileState::Open(store);
                self.status.condition = match &self.write_failure {
                    Some(failure) => Condition::Failing(failure.why.clone()),
                    None => Condition::Writable,
                };
                self.copy_counts();
            }
            Err(error) => self.close_after(error, (pause * 2).clamp(PAUSE_FIRST, PAUSE_LONGEST)),
        }
        if let Ok(damaged_files) = self.medium.damaged_files() {
            self.status.damaged_files = damaged_files;
        }
    }

    /// Closes the file, and opens it again after the pause unless the error rules that out.
    pub(super) fn close_after(&mut self, error: StoreError, pause: Duration) {
        let why = error.why().clone();
        let mut retry_at = Instant::now() + pause;
        match error {
            StoreError::Foreign(why) => {
                self.status.condition = Condition::Foreign(why.clone());
                self.file = FileState::Unusable(why);
                return;
            }
            // The file is set aside only after all of it was checked.
            StoreError::Damaged(why) if self.checked => {
                tracing::error!(%why, "the spool looks damaged: checking it");
                self.checked = false;
            }
            StoreError::Damaged(why) => {
                if self.set_damaged_file_aside(&why) == SetAside::Done {
                    retry_at = Instant::now();
                }
            }
            StoreError::Disk(why) => {
                // The same error is logged once, not at every attempt.
                if self.status.condition != Condition::Failing(why.clone()) {
                    tracing::error!(%why, "the spool cannot be used");
                }
            }
        }
        self.status.condition = Condition::Failing(why.clone());
        self.file = FileState::Closed {
            why,
            retry_at,
            pause,
        };
    }

    fn set_damaged_file_aside(&self, why: &str) -> SetAside {
        match self.medium.set_aside() {
            Ok(file) => {
                tracing::error!(
                    %why,
                    file,
                    "THE SPOOL IS DAMAGED: what it holds is not delivered until a person repairs it; \
                     starting a fresh one"
                );
                SetAside::Done
            }
            Err(error) => {
                tracing::error!(%why, %error, "the spool is damaged and cannot be set aside");
                SetAside::Failed
            }
        }
    }

    pub(super) fn record_write_failure(&mut self, error: StoreError) {
        let why = error.why().clone();
        self.close_after(error, Duration::ZERO);
        self.write_failure = Some(WriteFailure {
            why,
            retry_at: Instant::now() + self.write_pause,
        });
        // On a disk that is almost full a small commit succeeds and the next one fails. So a
        // failure lengthens the pause even if the one before was over.
        self.write_pause = (self.write_pause * 2).min(PAUSE_LONGEST);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SetAside {
    Done,
    Failed,
}

/// Runs a call of redb, which may panic on a file that was changed under it.
pub(super) fn attempt<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(StoreError::Damaged(
            "the database panicked on this file".into(),
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
    fn empty_commit_does_not_shorten_the_pause() {
        let folder = tempfile::tempdir().unwrap();
        let (status_sender, _status) = watch::channel(Status::default());
        let medium = Disk::new(folder.path());
        let mut writer = Writer::new(medium, 1 << 20, Arc::default(), status_sender);
        writer.open_if_due();
        writer.record_write_failure(StoreError::Disk("no space left".into()));
        writer.open_if_due();

        writer.write_failure.as_mut().unwrap().retry_at = Instant::now();
        writer.write(&mut Batch::default());
        assert!(writer.write_failure.is_none());
        assert_eq!(writer.write_pause, PAUSE_FIRST * 2);

        let mut batch = Batch::default();
        batch.add(Command::Append {
            bytes: vec![1],
            done: oneshot::channel().0,
        });
        writer.write(&mut batch);
        assert_eq!(writer.write_pause, PAUSE_FIRST);
    }
}
