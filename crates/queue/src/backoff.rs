//! How long to wait before the broker is tried again.

use std::time::Duration;

const FIRST_STEP: Duration = Duration::from_millis(100);
const LONGEST_STEP: Duration = Duration::from_secs(5);

/// A backoff that doubles, with jitter. Programs that lost the broker together do not come back
/// together.
#[derive(Debug)]
pub(crate) struct Backoff {
    step: Duration,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Self { step: FIRST_STEP }
    }

    /// Returns between half and all of the current step. The step doubles, up to five seconds.
    pub(crate) fn next_delay(&mut self) -> Duration {
        let step = self.step;
        self.step = (step * 2).min(LONGEST_STEP);
        rand::random_range(step / 2..=step)
    }

    /// Starts again with the first step.
    pub(crate) fn reset(&mut self) {
        self.step = FIRST_STEP;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_the_ceiling_and_start_over() {
        let mut backoff = Backoff::new();
        assert!(backoff.next_delay() <= FIRST_STEP);
        let later = (0..20).map(|_| backoff.next_delay()).last().unwrap();
        assert!((LONGEST_STEP / 2..=LONGEST_STEP).contains(&later));
        backoff.reset();
        assert!(backoff.next_delay() <= FIRST_STEP);
    }
}
