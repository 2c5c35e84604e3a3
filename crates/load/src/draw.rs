//! Repeatable random draws. What is drawn for a payment depends on the seed and its number alone.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

pub(crate) struct Draw(StdRng);

impl Draw {
    /// Two streams of one seed have independent draws.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        Self(StdRng::seed_from_u64(
            seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ stream.rotate_left(17),
        ))
    }

    /// Returns true with this probability in percent.
    pub(crate) fn percent(&mut self, percent: u32) -> bool {
        self.0.random_range(0..100) < percent
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0.random_range(0..bound)
    }

    pub(crate) fn number(&mut self, range: std::ops::RangeInclusive<u64>) -> u64 {
        self.0.random_range(range)
    }

    pub(crate) fn choose<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    /// Draws one of the choices, each with its weight.
    pub(crate) fn weighted<T: Copy>(&mut self, choices: &[(u32, T)]) -> T {
        let total: u32 = choices.iter().map(|(weight, _)| weight).sum();
        let mut at = self.0.random_range(0..total);
        for (weight, choice) in choices {
            if at < *weight {
                return *choice;
            }
            at -= weight;
        }
        unreachable!("the draw is below the sum of the weights")
    }

    /// How often a message is sent. Mostly it is once or twice, and at most ten times.
    pub(crate) fn copies(&mut self) -> u32 {
        let most = self.weighted(&[(50, 1), (25, 2), (15, 4), (7, 7), (3, 10)]);
        self.0.random_range(1..=most)
    }

    pub(crate) fn hex(&mut self, digits: usize) -> String {
        (0..digits)
            .map(|_| char::from(b"0123456789abcdef"[self.below(16)]))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_and_stream_decide_the_draws() {
        let drawn = |seed, stream| Draw::new(seed, stream).hex(32);
        assert_eq!(drawn(7, 1), drawn(7, 1));
        assert_ne!(drawn(7, 1), drawn(8, 1));
        assert_ne!(drawn(7, 1), drawn(7, 2));
    }

    #[test]
    fn copies_range_from_one_to_ten() {
        let mut draw = Draw::new(1, 0);
        let copies: Vec<u32> = (0..5000).map(|_| draw.copies()).collect();
        assert_eq!(copies.iter().min(), Some(&1));
        assert_eq!(copies.iter().max(), Some(&10));
    }
}
