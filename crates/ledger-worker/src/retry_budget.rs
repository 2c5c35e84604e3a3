//! How long one batch is tried again while the database or the broker is away.

use std::time::Duration;

use rand::Rng;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Deliveries are held this long at most while the database or the broker is away. Then they are
/// given back. This is far below protocol B3's five minutes, and longer than a restart takes,
/// because each return counts against the limit that makes a message a suspect.
const HOLD_MAX: Duration = Duration::from_secs(20);
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// The retry budget is used up, or the program is to end. What is held goes back to the queue.
#[derive(Debug)]
pub(crate) struct BudgetSpent;

/// The retry budget of one batch, over all its messages.
pub(crate) struct RetryBudget {
    until: Instant,
    pause: Duration,
    stop: CancellationToken,
}

impl RetryBudget {
    /// `stop` ends the budget at once: nothing is tried again at shutdown.
    pub(crate) fn new(stop: CancellationToken) -> Self {
        Self {
            until: Instant::now() + HOLD_MAX,
            pause: PAUSE_FIRST,
            stop,
        }
    }

    /// Pauses before the next try.
    pub(crate) async fn wait_for_retry(&mut self) -> Result<(), BudgetSpent> {
        if self.stop.is_cancelled() || Instant::now() >= self.until {
            return Err(BudgetSpent);
        }
        let jitter = rand::rng().random_range(0.5..1.0);
        tokio::select! {
            () = self.stop.cancelled() => return Err(BudgetSpent),
            () = tokio::time::sleep(self.pause.mul_f64(jitter)) => {}
        }
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn retry_budget_ends_long_before_the_hold_limit() {
        let begun = Instant::now();
        let mut budget = RetryBudget::new(CancellationToken::new());
        let mut tries = 0;
        while budget.wait_for_retry().await.is_ok() {
            tries += 1;
        }
        assert!(tries > 5);
        assert!(
            begun.elapsed() < HOLD_MAX + PAUSE_MAX,
            "{:?}",
            begun.elapsed()
        );
    }

    #[tokio::test]
    async fn nothing_is_tried_again_at_shutdown() {
        let stop = CancellationToken::new();
        stop.cancel();
        assert!(RetryBudget::new(stop).wait_for_retry().await.is_err());
    }
}
