//! How far the drainer is in the spool, and when it tries again.

use std::time::Duration;

use risiti_spool::{Entry, Status};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// Batches that the broker answers and takes nothing of, before the entries are to blame.
const BATCHES_REFUSED_MAX: u32 = 5;
const PAUSE_FIRST: Duration = Duration::from_millis(100);
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Time from passing over a refused entry to its next try. The first is short, because the broker
/// may only have lost a queue for a moment.
const RETRY_PAUSE_FIRST: Duration = Duration::from_secs(1);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(60);

/// How far the drainer is in the spool, and what it does next.
#[derive(Debug)]
pub(super) struct Progress {
    /// All entries up to this number are delivered or passed over.
    after: u64,
    /// When to go back to the entries that were passed over. Entries that arrive meanwhile do not
    /// put it off.
    retry_at: Option<Instant>,
    retry_pause: Duration,
    /// Whether the next batch is a single entry, because the broker did not answer the last one.
    is_probing: bool,
    batches_refused: u32,
    pause: Duration,
}

/// What became of publishing one entry.
pub(super) enum EntryOutcome {
    Confirmed,
    /// The broker answered, but not with a confirm.
    Refused,
    /// The broker did not answer, or could not be asked.
    NoAnswer,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            after: 0,
            retry_at: None,
            retry_pause: RETRY_PAUSE_FIRST,
            is_probing: false,
            batches_refused: 0,
            pause: PAUSE_FIRST,
        }
    }

    pub(super) fn after(&self) -> u64 {
        self.after
    }

    pub(super) fn is_probing(&self) -> bool {
        self.is_probing
    }

    /// Records a batch. Returns how long to wait before the next one, if at all.
    ///
    /// An entry that the broker refuses must not delay those behind it. It is passed over, stays
    /// in the spool and is tried again later. But a broker in trouble refuses everything, and then
    /// passing over would drain nothing. So a refusal counts against the entries only when the
    /// broker took others of the batch, or when it refused several batches in a row. While the
    /// broker does not answer some entry, no entry is to blame and the batch is read again.
    pub(super) fn record_batch(
        &mut self,
        entries: &[Entry],
        outcomes: &[EntryOutcome],
    ) -> Option<Duration> {
        let count = |wanted: fn(&EntryOutcome) -> bool| {
            outcomes.iter().filter(|outcome| wanted(outcome)).count()
        };
        let confirmed = count(|outcome| matches!(outcome, EntryOutcome::Confirmed));
        let refused = count(|outcome| matches!(outcome, EntryOutcome::Refused));
        let unanswered = count(|outcome| matches!(outcome, EntryOutcome::NoAnswer));

        self.is_probing = confirmed == 0 && unanswered > 0;
        if unanswered == 0 && refused > 0 {
            self.batches_refused += 1;
        }

        let refused_too_often = self.batches_refused >= BATCHES_REFUSED_MAX;
        if unanswered == 0 && (confirmed > 0 || refused_too_often) {
            self.after = entries.last().map_or(self.after, |entry| entry.number);
            if refused > 0 {
                self.retry_at
                    .get_or_insert(Instant::now() + self.retry_pause);
            }
            self.batches_refused = 0;
        }

        if confirmed > 0 {
            self.pause = PAUSE_FIRST;
            return (unanswered > 0).then_some(self.pause);
        }
        Some(self.longer_pause())
    }

    fn longer_pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(PAUSE_MAX);
        rand::random_range(pause / 2..=pause)
    }

    /// Waits for new entries, or for the time to try again the entries that were passed over.
    pub(super) async fn wait_at_the_end(&mut self, status: &mut watch::Receiver<Status>) {
        match self.retry_at {
            None => {
                self.after = 0;
                self.retry_pause = RETRY_PAUSE_FIRST;
                status.changed().await.ok();
            }
            Some(then) if Instant::now() >= then => {
                *self = Self {
                    retry_pause: (self.retry_pause * 2).min(RETRY_PAUSE_MAX),
                    ..Self::new()
                };
            }
            Some(then) => {
                timeout_at(then, status.changed()).await.ok();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(progress: &mut Progress, outcomes: &[EntryOutcome]) -> Option<Duration> {
        let numbers = progress.after + 1..;
        let entries: Vec<_> = numbers
            .zip(outcomes)
            .map(|(number, _)| Entry {
                number,
                bytes: Vec::new(),
            })
            .collect();
        progress.record_batch(&entries, outcomes)
    }

    #[test]
    fn refused_entry_among_others_is_passed_over_at_once() {
        let mut progress = Progress::new();
        let outcomes = [
            EntryOutcome::Confirmed,
            EntryOutcome::Refused,
            EntryOutcome::Confirmed,
        ];
        assert_eq!(record(&mut progress, &outcomes), None);
        assert_eq!(progress.after, 3);
        assert!(progress.retry_at.is_some());
    }

    #[test]
    fn refused_entry_alone_is_passed_over_after_growing_pauses() {
        let mut progress = Progress::new();
        for batch in 1..=BATCHES_REFUSED_MAX {
            assert_eq!(progress.after, 0);
            let shortest = PAUSE_FIRST * 2_u32.pow(batch - 1) / 2;
            let pause = record(&mut progress, &[EntryOutcome::Refused]);
            assert!(pause.is_some_and(|pause| pause >= shortest));
        }
        assert_eq!(progress.after, 1);
    }

    #[test]
    fn no_entry_is_to_blame_while_the_broker_does_not_answer() {
        let mut progress = Progress::new();
        for _ in 0..100 {
            let outcomes = [EntryOutcome::Refused, EntryOutcome::NoAnswer];
            let pause = record(&mut progress, &outcomes);
            assert!(pause.is_some_and(|pause| (PAUSE_FIRST / 2..=PAUSE_MAX).contains(&pause)));
        }
        assert_eq!(
            (progress.after, progress.retry_at, progress.is_probing),
            (0, None, true)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn new_entries_do_not_put_off_a_retry() {
        let (sender, mut status) = watch::channel(Status::default());
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(RETRY_PAUSE_FIRST / 10).await;
                sender.send_modify(|status| status.entries += 1);
            }
        });

        let mut progress = Progress::new();
        record(
            &mut progress,
            &[EntryOutcome::Confirmed, EntryOutcome::Refused],
        );
        for _ in 0..20 {
            progress.wait_at_the_end(&mut status).await;
        }
        assert_eq!((progress.after, progress.retry_at), (0, None));
    }
}
