//! Doing something again while its trouble is the database's or the broker's, within the time a delivery
//! may be held.

use std::time::Duration;

use rand::Rng;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Deliveries are held this long at most while something behind us is away, then given back. Far below
/// protocol B3's five minutes, and longer than a restart takes: giving back counts against the limit that
/// makes a message a suspect.
const HOLD_MAX: Duration = Duration::from_secs(20);
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// How long one batch has been tried for, over all its messages.
pub(crate) struct Patience {
    until: Instant,
    pause: Duration,
    stop: CancellationToken,
}

impl Patience {
    /// At shutdown nothing is tried again: what is held goes back to the queue.
    pub(crate) fn new(stop: CancellationToken) -> Self {
        Self {
            until: Instant::now() + HOLD_MAX,
            pause: PAUSE_FIRST,
            stop,
        }
    }

    /// Pauses, and says whether to try again.
    pub(crate) async fn again(&mut self) -> bool {
        if self.stop.is_cancelled() || Instant::now() >= self.until {
            return false;
        }
        let jitter = rand::rng().random_range(0.5..1.0);
        tokio::select! {
            () = self.stop.cancelled() => return false,
            () = tokio::time::sleep(self.pause.mul_f64(jitter)) => {}
        }
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn patience_ends_long_before_a_delivery_may_no_longer_be_held() {
        let begun = Instant::now();
        let mut patience = Patience::new(CancellationToken::new());
        let mut tries = 0;
        while patience.again().await {
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
        assert!(!Patience::new(stop).again().await);
    }
}
