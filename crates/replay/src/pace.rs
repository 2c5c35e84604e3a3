//! The ceiling over a whole run. A long pause earns no burst afterwards.

use std::time::Duration;

use tokio::time::Instant;

use crate::value_parsers::Rate;

/// A dead letter that is taken late by no more than this lets the next one come sooner.
const CATCH_UP_MAX: Duration = Duration::from_millis(10);

pub(crate) struct Pace {
    interval: Duration,
    next: Option<Instant>,
}

impl Pace {
    /// Makes a pace. Without a rate nothing waits.
    pub(crate) fn new(rate: Option<Rate>) -> Self {
        Self {
            interval: rate.map_or(Duration::ZERO, |rate| rate.interval),
            next: None,
        }
    }

    /// Waits until the next dead letter may be handled. The wait comes before a message is taken
    /// from the queue, so that nothing is held meanwhile (protocol B3). Dropping the wait loses
    /// nothing.
    pub(crate) async fn wait(&self) {
        if let Some(next) = self.next {
            tokio::time::sleep_until(next).await;
        }
    }

    /// Counts one dead letter against the rate. Those that the filter leaves in place do not count.
    pub(crate) fn count_one(&mut self) {
        let now = Instant::now();
        // One that is a little late does not delay those after it.
        let due = self.next.unwrap_or(now);
        let counted_from = now.duration_since(due).min(CATCH_UP_MAX.min(self.interval));
        self.next = Some(now - counted_from + self.interval);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value_parsers::rate;

    async fn elapsed_after(count: u32, pace: &mut Pace) -> Duration {
        let began = Instant::now();
        for _ in 0..count {
            pace.wait().await;
            pace.count_one();
        }
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn fifty_a_second_leaves_twenty_milliseconds_between_two() {
        let mut pace = Pace::new(Some(rate("50/s").unwrap()));
        let elapsed = elapsed_after(101, &mut pace).await;
        assert!(elapsed >= Duration::from_secs(2), "{elapsed:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn long_pause_earns_no_burst_afterwards() {
        let mut pace = Pace::new(Some(rate("1/s").unwrap()));
        pace.count_one();
        tokio::time::sleep(Duration::from_secs(60)).await;
        let elapsed = elapsed_after(4, &mut pace).await;
        assert!(
            elapsed >= Duration::from_secs(3) - CATCH_UP_MAX,
            "{elapsed:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn small_delays_do_not_add_up() {
        let mut pace = Pace::new(Some(rate("200/s").unwrap()));
        let began = Instant::now();
        for _ in 0..=200 {
            pace.wait().await;
            tokio::time::sleep(Duration::from_millis(3)).await;
            pace.count_one();
        }
        let elapsed = began.elapsed();
        assert!(elapsed <= Duration::from_millis(1_010), "{elapsed:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn no_rate_means_no_wait() {
        assert_eq!(
            elapsed_after(1_000, &mut Pace::new(None)).await,
            Duration::ZERO
        );
    }

    #[tokio::test(start_paused = true)]
    async fn skipped_dead_letter_does_not_count_against_the_rate() {
        let mut pace = Pace::new(Some(rate("1/s").unwrap()));
        pace.count_one();
        let began = Instant::now();
        for _ in 0..100 {
            pace.wait().await;
        }
        assert_eq!(began.elapsed(), Duration::from_secs(1));
    }
}
