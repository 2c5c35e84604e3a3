//! The gauges that are read from the database. A reading that fails or takes long holds the others
//! up for its own time limit at most, and the age of each is exported.

use std::time::{Duration, Instant};

use risiti_ledger::LedgerError;
use risiti_service::DatabaseHealth;

use crate::lane::Lanes;

const INTERVAL: Duration = Duration::from_secs(5);
/// The pause after a count is at least this many times as long as the count, because it may take a
/// whole table.
const IDLE_PARTS: u32 = 50;
/// How often the readings that are due are made and the ages shown. The first come soon after the
/// start.
const TICK: Duration = Duration::from_millis(500);

/// One statement behind one or more gauges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    OldestPending,
    Lanes,
    UnfiledInvoices,
    Replayed,
    FlaggedPayments,
    OpenMessages,
    FiledInvoices,
}

impl Reading {
    /// In the order in which they are read: what a person is woken by comes first, and what reads
    /// a whole table last.
    pub(crate) const ALL: [Self; 7] = [
        Self::OldestPending,
        Self::Lanes,
        Self::FlaggedPayments,
        Self::OpenMessages,
        Self::UnfiledInvoices,
        Self::Replayed,
        Self::FiledInvoices,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::OldestPending => "oldest_pending",
            Self::Lanes => "lanes",
            Self::UnfiledInvoices => "unfiled_invoices",
            Self::Replayed => "replayed",
            Self::FlaggedPayments => "flagged_payments",
            Self::OpenMessages => "open_messages",
            Self::FiledInvoices => "filed_invoices",
        }
    }

    /// Whether it counts many rows. The others tell what a person is woken by, and are never older
    /// than 15 s while they can be read: four such readings and one count, of at most 2 s each, and
    /// the pause.
    fn is_count(self) -> bool {
        match self {
            Self::OldestPending | Self::Lanes | Self::FlaggedPayments | Self::OpenMessages => false,
            Self::UnfiledInvoices | Self::Replayed | Self::FiledInvoices => true,
        }
    }

    /// The pause after a reading that took so long.
    fn pause_after(self, took: Duration) -> Duration {
        if self.is_count() {
            INTERVAL.max(took.saturating_mul(IDLE_PARTS))
        } else {
            INTERVAL
        }
    }

    async fn read(self, lanes: &Lanes) -> Result<(), LedgerError> {
        let (ledger, metrics) = (&lanes.ledger, &lanes.metrics);
        match self {
            Self::OldestPending => {
                metrics.show_oldest_pending(ledger.oldest_pending_seconds().await?);
            }
            Self::Lanes => metrics.show_lanes(&ledger.count_lanes().await?),
            Self::UnfiledInvoices => metrics.show_unfiled(&ledger.count_unfiled_invoices().await?),
            Self::FlaggedPayments => metrics.show_flagged(ledger.flagged_waiting().await?),
            Self::OpenMessages => metrics.show_open_messages(&ledger.messages_waiting().await?),
            Self::Replayed => metrics.show_replayed(ledger.count_replays().await?),
            Self::FiledInvoices => metrics.show_filed(ledger.count_filed_invoices().await?),
        }
        Ok(())
    }
}

/// When a reading is due, and how it went.
struct Schedule {
    reading: Reading,
    due: Instant,
    failing: bool,
    /// When the last reading that succeeded was begun. Before the first one, when the program
    /// began.
    read_at: Instant,
}

impl Schedule {
    fn new(reading: Reading, start: Instant) -> Self {
        Self {
            reading,
            due: start + TICK,
            failing: false,
            read_at: start,
        }
    }

    /// Notes how a reading went. Only a change is logged, because the age tells the rest.
    fn note(&mut self, outcome: Result<(), LedgerError>, started: Instant, ended: Instant) {
        self.due = ended + self.reading.pause_after(ended - started);
        let was_failing = std::mem::replace(&mut self.failing, outcome.is_err());
        let reading = self.reading.as_str();
        match outcome {
            Ok(()) => {
                self.read_at = started;
                if was_failing {
                    tracing::info!(reading, "gauge is read again");
                }
            }
            Err(error) if !was_failing => {
                tracing::warn!(reading, %error, "gauge not read, keeping its last value");
            }
            Err(_) => {}
        }
    }
}

pub(crate) async fn run(lanes: &Lanes, health: &DatabaseHealth) {
    let database_available = health.subscribe();
    let start = Instant::now();
    let mut schedules = Reading::ALL.map(|reading| Schedule::new(reading, start));
    loop {
        let mut has_counted = false;
        for schedule in &mut schedules {
            let started = Instant::now();
            let waits_its_turn = schedule.reading.is_count() && has_counted;
            if *database_available.borrow() && schedule.due <= started && !waits_its_turn {
                has_counted |= schedule.reading.is_count();
                let outcome = schedule.reading.read(lanes).await;
                schedule.note(outcome, started, Instant::now());
            }
            let age = schedule.read_at.elapsed();
            lanes.metrics.show_reading_age(schedule.reading, age);
        }
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            () = lanes.shutdown.cancelled() => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_reading_is_repeated_seldom() {
        let count = Reading::FiledInvoices;
        assert_eq!(count.pause_after(Duration::from_millis(10)), INTERVAL);
        assert_eq!(
            count.pause_after(Duration::from_secs(2)),
            Duration::from_secs(100)
        );
        assert_eq!(count.pause_after(Duration::MAX), Duration::MAX);
    }

    #[test]
    fn what_wakes_a_person_is_at_most_15_s_old() {
        let reading_max = Duration::from_secs(2);
        let prompt = Reading::ALL
            .into_iter()
            .filter(|reading| !reading.is_count());
        let one_round = reading_max * u32::try_from(prompt.clone().count() + 1).unwrap();
        for reading in prompt {
            let oldest = reading.pause_after(reading_max) + one_round;
            assert!(oldest <= Duration::from_secs(15), "{oldest:?}");
        }
    }

    #[test]
    fn a_reading_that_fails_keeps_the_time_of_the_last_good_one() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut schedule = Schedule::new(Reading::Replayed, start);
        schedule.note(Ok(()), at(1), at(1));
        schedule.note(Err(LedgerError::ReadOnly), at(6), at(8));
        assert_eq!(
            (schedule.read_at, schedule.due, schedule.failing),
            (at(1), at(108), true)
        );
        schedule.note(Ok(()), at(108), at(108));
        assert_eq!((schedule.read_at, schedule.failing), (at(108), false));
    }
}
