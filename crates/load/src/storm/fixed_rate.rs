//! When each request of a storm at a fixed rate is due.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::cli::StormArgs;

/// The deliveries of this many seconds are shuffled among each other.
const WINDOW_SECONDS: u32 = 5;

#[derive(Clone, Copy)]
pub(crate) struct FixedRate {
    per_second: NonZeroU32,
    duration: Duration,
}

impl FixedRate {
    pub(crate) fn from_args(args: &StormArgs) -> Option<Self> {
        Some(Self {
            per_second: args.rate?,
            duration: args.duration?,
        })
    }

    pub(crate) fn window(self) -> usize {
        self.per_second.get().saturating_mul(WINDOW_SECONDS) as usize
    }

    /// When each request is due, since the beginning.
    pub(crate) fn due_times(self) -> impl Iterator<Item = Duration> {
        let rate = u64::from(self.per_second.get());
        let within_second =
            move |number: u64| Duration::from_nanos(number % rate * 1_000_000_000 / rate);
        (0..)
            .map(move |number| Duration::from_secs(number / rate) + within_second(number))
            .take_while(move |due| *due < self.duration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed_rate(per_second: u32, seconds: u64) -> FixedRate {
        FixedRate {
            per_second: NonZeroU32::new(per_second).unwrap(),
            duration: Duration::from_secs(seconds),
        }
    }

    #[test]
    fn requests_are_due_evenly_until_the_end() {
        let nanos: Vec<u128> = fixed_rate(3, 2)
            .due_times()
            .map(|due| due.as_nanos())
            .collect();
        assert_eq!(
            nanos,
            [
                0,
                333_333_333,
                666_666_666,
                1_000_000_000,
                1_333_333_333,
                1_666_666_666
            ]
        );
        assert_eq!(fixed_rate(100, 60).due_times().count(), 6000);
    }
}
