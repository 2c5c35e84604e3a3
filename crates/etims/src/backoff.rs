//! Pauses between tries. This is the only module that uses the crate `backoff`.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;

/// Exponential pauses with full jitter. The n-th pause is drawn evenly from zero to `first × 2ⁿ`,
/// and is never longer than the ceiling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    ceiling: Duration,
}

impl Backoff {
    /// A `first` above the ceiling counts as the ceiling.
    pub fn new(first: Duration, ceiling: Duration) -> Self {
        Self {
            first: first.min(ceiling),
            ceiling,
        }
    }

    /// Draws the pause after this many failures in a row, counted from one.
    pub fn pause(&self, failures: u32) -> Duration {
        // The crate draws from `interval ± factor × interval`, so half the interval and a factor of
        // one give full jitter. Its limit on elapsed time would end the pauses, and its ceiling
        // applies before the jitter, so that neither is used (protocol D14).
        let mut pauses = ExponentialBackoff {
            current_interval: self.first / 2,
            initial_interval: self.first / 2,
            randomization_factor: 1.0,
            multiplier: 2.0,
            max_interval: self.ceiling / 2,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        // 2⁶⁴ nanoseconds are five centuries, so that more doublings change nothing.
        for _ in 1..failures.min(64) {
            pauses.next_backoff();
        }
        pauses
            .next_backoff()
            .map_or(self.ceiling, |pause| pause.min(self.ceiling))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    proptest! {
        #[test]
        fn a_pause_exceeds_neither_the_ceiling_nor_its_step(
            first_ms in 0u64..100_000,
            ceiling_ms in 0u64..1_000_000,
            failures in any::<u32>(),
        ) {
            let ceiling = Duration::from_millis(ceiling_ms);
            let pause = Backoff::new(Duration::from_millis(first_ms), ceiling).pause(failures);
            let step = 2u64.saturating_pow(failures.saturating_sub(1)).saturating_mul(first_ms);
            // The crate draws up to a nanosecond more than its interval.
            let slack = Duration::from_micros(1);
            prop_assert!(pause <= ceiling);
            prop_assert!(pause <= Duration::from_millis(step).saturating_add(slack));
        }
    }

    #[test]
    fn a_thousand_pauses_are_spread_evenly() {
        let backoff = Backoff::new(Duration::from_secs(1), 15 * MINUTE);
        let mut tenths = [0; 10];
        for _ in 0..1_000 {
            let pause = backoff.pause(40);
            tenths[(pause.as_millis() * 10 / (15 * MINUTE).as_millis()).min(9) as usize] += 1;
        }
        // A hundred each, with bounds that chance practically never passes.
        assert!(
            tenths.iter().all(|count| (30..300).contains(count)),
            "{tenths:?}"
        );
    }

    #[test]
    fn pauses_grow_with_failures() {
        let backoff = Backoff::new(Duration::from_secs(1), 15 * MINUTE);
        let longest = |failures| (0..200).map(|_| backoff.pause(failures)).max().unwrap();
        assert!(longest(1) <= Duration::from_millis(1_001));
        assert!(longest(6) > Duration::from_secs(8));
    }
}
