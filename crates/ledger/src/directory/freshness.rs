//! How long a directory counts as up to date.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// How long after the server's last answer a directory counts as up to date. A network or server
/// that falls silent is noticed within this time.
const FRESH_FOR: Duration = Duration::from_secs(4);

/// Counts what may make a loaded directory outdated: announced changes, and lost connections.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes(Arc<AtomicU64>);

impl Changes {
    pub(super) fn announce(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// Whether one version of the directory is known to be what the database has.
///
/// It depends on the time and not on a task that would have to notice. A process that was frozen
/// may handle requests before any task of its own runs.
#[derive(Debug, Default)]
pub(super) struct Freshness {
    changes: Changes,
    confirmed: Mutex<Option<Confirmed>>,
}

#[derive(Clone, Copy, Debug)]
struct Confirmed {
    /// The count of changes before the directory was read.
    changes: u64,
    /// When the question was sent whose answer showed that the server is there.
    at: Instant,
}

impl Freshness {
    pub(super) fn new(changes: Changes) -> Self {
        Self {
            changes,
            confirmed: Mutex::default(),
        }
    }

    /// Notes that the server answered a question which was sent at `at`, and that the directory was
    /// read after that many changes.
    pub(super) fn confirm(&self, changes: u64, at: Instant) {
        *self.confirmed() = Some(Confirmed { changes, at });
    }

    /// Notes that another version has taken this one's place.
    pub(super) fn revoke(&self) {
        *self.confirmed() = None;
    }

    pub(super) fn is_fresh(&self) -> bool {
        self.confirmed().is_some_and(|confirmed| {
            confirmed.changes == self.changes.count() && confirmed.at.elapsed() < FRESH_FOR
        })
    }

    fn confirmed(&self) -> MutexGuard<'_, Option<Confirmed>> {
        // Each use sets or reads one value, so a panic elsewhere leaves it whole.
        self.confirmed
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn confirmed() -> (Changes, Freshness) {
        let changes = Changes::default();
        let freshness = Freshness::new(changes.clone());
        assert!(!freshness.is_fresh());
        freshness.confirm(changes.count(), Instant::now());
        assert!(freshness.is_fresh());
        (changes, freshness)
    }

    #[test]
    fn announced_change_outdates_until_it_is_read() {
        let (changes, freshness) = confirmed();
        let before = changes.count();
        changes.announce();
        assert!(!freshness.is_fresh());
        freshness.confirm(before, Instant::now());
        assert!(!freshness.is_fresh(), "it was read before the change");
        freshness.confirm(changes.count(), Instant::now());
        assert!(freshness.is_fresh());
    }

    #[test]
    fn answer_from_long_ago_and_another_version_outdate() {
        let (changes, freshness) = confirmed();
        let long_ago = Instant::now().checked_sub(FRESH_FOR).unwrap();
        freshness.confirm(changes.count(), long_ago);
        assert!(!freshness.is_fresh());

        freshness.confirm(changes.count(), Instant::now());
        freshness.revoke();
        assert!(!freshness.is_fresh());
    }
}
