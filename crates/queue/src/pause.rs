//! How long to wait before trying the broker again.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Doubling pauses with jitter, so that programs which lost the broker together do not come back together.
#[derive(Debug)]
pub(crate) struct Pause {
    next: Duration,
}

impl Pause {
    pub(crate) fn new() -> Self {
        Self { next: FIRST }
    }

    /// Between half and all of the present step; the step doubles up to five seconds.
    pub(crate) fn next(&mut self) -> Duration {
        let step = self.next;
        self.next = (step * 2).min(LONGEST);
        rand::random_range(step / 2..=step)
    }

    pub(crate) fn reset(&mut self) {
        self.next = FIRST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_ceiling_and_start_over() {
        let mut pause = Pause::new();
        assert!(pause.next() <= FIRST);
        let later = (0..20).map(|_| pause.next()).last().unwrap();
        assert!((LONGEST / 2..=LONGEST).contains(&later));
        pause.reset();
        assert!(pause.next() <= FIRST);
    }
}
