//! A ceiling over the whole run: never more than the rate, however long a pause was before.

use std::time::Duration;

use tokio::time::Instant;

use crate::values::Rate;

pub(crate) struct Pace {
    interval: Duration,
    next: Option<Instant>,
}

impl Pace {
    /// Without a rate there is no waiting.
    pub(crate) fn new(rate: Option<Rate>) -> Self {
        Self {
            interval: rate.map_or(Duration::ZERO, |rate| rate.interval),
            next: None,
        }
    }

    /// Waits for the next item's turn, before anything is taken from the queue: nothing is held meanwhile
    /// (protocol B3). Dropping the wait loses nothing.
    pub(crate) async fn turn(&self) {
        if let Some(next) = self.next {
            tokio::time::sleep_until(next).await;
        }
    }

    /// The turn was used. What a filter leaves in place uses none.
    pub(crate) fn used(&mut self) {
        self.next = Some(Instant::now() + self.interval);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::rate;

    async fn elapsed_after(turns: u32, pace: &mut Pace) -> Duration {
        let began = Instant::now();
        for _ in 0..turns {
            pace.turn().await;
            pace.used();
        }
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn fifty_a_second_is_twenty_milliseconds_between_two() {
        let mut pace = Pace::new(Some(rate("50/s").unwrap()));
        let elapsed = elapsed_after(101, &mut pace).await;
        assert!(elapsed >= Duration::from_secs(2), "{elapsed:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_item_earns_no_burst_afterwards() {
        let mut pace = Pace::new(Some(rate("1/s").unwrap()));
        pace.used();
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(elapsed_after(4, &mut pace).await >= Duration::from_secs(3));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_rate_nothing_waits() {
        assert_eq!(
            elapsed_after(1_000, &mut Pace::new(None)).await,
            Duration::ZERO
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_in_place_costs_no_turn() {
        let mut pace = Pace::new(Some(rate("1/s").unwrap()));
        pace.used();
        let began = Instant::now();
        for _ in 0..100 {
            pace.turn().await;
        }
        assert_eq!(began.elapsed(), Duration::from_secs(1));
    }
}
