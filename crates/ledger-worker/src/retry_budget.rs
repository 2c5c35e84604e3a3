//! How long one piece of work is tried again while the database or the broker is away, and how long
//! a delivery is held at all.

use std::time::Duration;

use rand::Rng;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// Work is tried again for this long at most. This is longer than a restart of a server takes,
/// because each return of a delivery counts against the limit that makes its message a suspect.
const RETRY_MAX: Duration = Duration::from_secs(20);
/// A delivery is held this long at most, from its arrival to the end of its commit. Wake-ups and
/// the acknowledgement come after that, and all of it stays below protocol B3's five minutes.
const HELD_MAX: Duration = Duration::from_secs(240);
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// The retry budget is used up, or the program is to end. What is held goes back to the queue.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BudgetSpent;

/// The retry budget of one piece of work, over all its messages.
pub(crate) struct RetryBudget {
    until: Instant,
    held_until: Instant,
    pause: Duration,
    stop: CancellationToken,
}

impl RetryBudget {
    /// `held_since` is the arrival of the oldest delivery that the work is about. `stop` ends the
    /// budget at once: nothing is tried again at shutdown.
    pub(crate) fn new(held_since: Instant, stop: &CancellationToken) -> Self {
        let held_until = held_since + HELD_MAX;
        Self {
            until: held_until.min(Instant::now() + RETRY_MAX),
            held_until,
            pause: PAUSE_FIRST,
            stop: stop.clone(),
        }
    }

    /// Tries for as long as a delivery may be held.
    pub(crate) fn patient(held_since: Instant, stop: &CancellationToken) -> Self {
        let budget = Self::new(held_since, stop);
        Self {
            until: budget.held_until,
            ..budget
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

    /// Does work with this budget, and gives it up when its deliveries have been held for too long.
    /// A slow database could otherwise take minutes for one try.
    pub(crate) async fn spend_on<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Self) -> Result<T, BudgetSpent>,
    ) -> Result<T, BudgetSpent> {
        let held_until = self.held_until;
        if Instant::now() >= held_until {
            return Err(BudgetSpent);
        }
        timeout_at(held_until, work(self))
            .await
            .unwrap_or(Err(BudgetSpent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn retry_budget_ends_long_before_the_hold_limit() {
        let begun = Instant::now();
        let mut budget = RetryBudget::new(begun, &CancellationToken::new());
        let mut tries = 0;
        while budget.wait_for_retry().await.is_ok() {
            tries += 1;
        }
        assert!(tries > 5);
        assert!(
            begun.elapsed() < RETRY_MAX + PAUSE_MAX,
            "{:?}",
            begun.elapsed()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_held_for_five_minutes() {
        let stop = CancellationToken::new();
        let arrived = Instant::now();
        // A try that never ends, and one that fails again and again.
        let mut budget = RetryBudget::patient(arrived, &stop);
        let hangs = async |_: &mut RetryBudget| std::future::pending::<Result<(), _>>().await;
        assert_eq!(budget.spend_on(hangs).await, Err(BudgetSpent));
        assert!(arrived.elapsed() <= HELD_MAX, "{:?}", arrived.elapsed());

        let arrived = Instant::now();
        let mut budget = RetryBudget::patient(arrived, &stop);
        let fails = async |budget: &mut RetryBudget| loop {
            budget.wait_for_retry().await?;
        };
        let outcome: Result<(), BudgetSpent> = budget.spend_on(fails).await;
        assert_eq!(outcome, Err(BudgetSpent));
        assert!(arrived.elapsed() <= HELD_MAX, "{:?}", arrived.elapsed());

        // What waited behind such work has no time left, so it is not even begun.
        let untouched = async |_: &mut RetryBudget| -> Result<(), _> { panic!("begun") };
        let mut budget = RetryBudget::new(arrived, &stop);
        assert_eq!(budget.spend_on(untouched).await, Err(BudgetSpent));
        assert!(HELD_MAX + Duration::from_secs(50) < Duration::from_secs(300));
    }

    #[tokio::test]
    async fn nothing_is_tried_again_at_shutdown() {
        let stop = CancellationToken::new();
        stop.cancel();
        let mut budget = RetryBudget::new(Instant::now(), &stop);
        assert!(budget.wait_for_retry().await.is_err());
    }
}
