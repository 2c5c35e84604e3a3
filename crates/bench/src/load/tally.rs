//! What a load counted.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

/// Longest latency that is told apart, in microseconds: five minutes.
const LATENCY_MAX_US: u64 = 300_000_000;

pub(crate) struct Tally {
    /// Answers by status.
    pub(crate) statuses: BTreeMap<u16, u64>,
    /// Webhooks whose connection ended, or whose answer was not waited for.
    pub(crate) unanswered: u64,
    /// The payments of all answers 200.
    pub(crate) kept: Vec<u32>,
    /// Answers 200 within the window.
    pub(crate) kept_in_window: u64,
    /// How long webhooks were sent.
    pub(crate) window: Duration,
    latency: Histogram<u64>,
}

impl Tally {
    pub(crate) fn new(window: Duration) -> Self {
        let latency = Histogram::new_with_bounds(1, LATENCY_MAX_US, 3);
        Self {
            statuses: BTreeMap::new(),
            unanswered: 0,
            kept: Vec::new(),
            kept_in_window: 0,
            window,
            latency: latency.expect("the bounds of a histogram are constants"),
        }
    }

    pub(crate) fn answered(&mut self, number: u32, status: u16, took: Duration, in_window: bool) {
        *self.statuses.entry(status).or_default() += 1;
        if status == 200 {
            self.kept.push(number);
            self.kept_in_window += u64::from(in_window);
        }
        self.latency
            .saturating_record(took.as_micros().try_into().unwrap_or(u64::MAX));
    }

    /// Adds what another thread of the same load counted.
    pub(crate) fn add(&mut self, other: Self) {
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        self.unanswered += other.unanswered;
        self.kept.extend(other.kept);
        self.kept_in_window += other.kept_in_window;
        self.window = self.window.max(other.window);
        self.latency
            .add(&other.latency)
            .expect("all histograms have the same bounds");
    }

    /// Answers 200 a second.
    pub(crate) fn rate(&self) -> f64 {
        self.kept_in_window as f64 / self.window.as_secs_f64()
    }

    /// Answers of any status.
    pub(crate) fn answers(&self) -> u64 {
        self.statuses.values().sum()
    }

    /// Answers other than 200, and webhooks without one.
    pub(crate) fn not_kept(&self) -> u64 {
        self.answers() - self.kept.len() as u64 + self.unanswered
    }

    /// The latency that this share of the answers did not exceed.
    pub(crate) fn percentile_ms(&self, percent: f64) -> f64 {
        self.latency.value_at_percentile(percent) as f64 / 1000.0
    }

    pub(crate) fn slowest_ms(&self) -> f64 {
        self.latency.max() as f64 / 1000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_answers_200_are_kept() {
        let mut tally = Tally::new(Duration::from_secs(2));
        let ms = Duration::from_millis;
        tally.answered(1, 200, ms(1), true);
        tally.answered(2, 503, ms(2), true);
        let mut other = Tally::new(Duration::from_secs(2));
        other.answered(3, 200, ms(9), false);
        other.unanswered += 1;
        tally.add(other);

        assert_eq!(tally.kept, [1, 3]);
        assert_eq!((tally.answers(), tally.not_kept()), (3, 2));
        assert!((tally.rate() - 0.5).abs() < 1e-9);
        assert!((tally.slowest_ms() - 9.0).abs() < 0.1);
    }
}
