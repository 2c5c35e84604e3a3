//! Pauses between tries: the only place that names the crate `backoff`.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;

/// Exponential pauses with full jitter: the n-th is spread evenly from nothing to `first × 2ⁿ`, and never
/// over the ceiling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    ceiling: Duration,
}

impl Backoff {
    /// A `first` above the ceiling counts as the ceiling.
    pub fn new(first: Duration, ceiling: Duration) -> Self {
        Self { first: first.min(ceiling), ceiling }
    }

    /// The pause after so many failures in a row, counted from one.
    pub fn pause(&self, failures: u32) -> Duration {
        // The crate draws from `interval ± factor × interval`: half the interval and a factor of one is
        // full jitter. Its own limit on elapsed time would end the pauses, and its ceiling applies
        // before the jitter (protocol D14).
        let mut pauses = ExponentialBackoff {
            current_interval: self.first / 2,
            initial_interval: self.first / 2,
            randomization_factor: 1.0,
            multiplier: 2.0,
            max_interval: self.ceiling / 2,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        // 2⁶⁴ nanoseconds are five centuries: nothing grows after that.
        for _ in 1..failures.min(64) {
            pauses.next_backoff();
        }
        pauses.next_backoff().map_or(self.ceiling, |pause| pause.min(self.ceiling))
    }
}
