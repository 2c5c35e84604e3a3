//! Metrics that exist from the start. A series that nothing has changed yet shows zero, so that a
//! rate over it is not blank.
//!
//! Names are written out with their prefix `risiti_`, so that they can be searched for.

use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

const REGISTERED_ONCE: &str = "metric names are constants and each is registered once";

/// Buckets in seconds, from a hash look-up to the longest wait for a tax authority.
pub const SECONDS: &[f64] = &[
    0.000_1, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
    10.0, 30.0, 60.0,
];

/// A counter without labels.
pub fn counter(registry: &Registry, name: &str, help: &str) -> IntCounter {
    register(registry, IntCounter::new(name, help))
}

/// A counter with labels. Every combination of `series` starts at zero.
pub fn counters(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
    series: &[&[&str]],
) -> IntCounterVec {
    let counters = register(registry, IntCounterVec::new(Opts::new(name, help), labels));
    for values in combinations(series) {
        counters.with_label_values(&values);
    }
    counters
}

/// A gauge without labels.
pub fn gauge(registry: &Registry, name: &str, help: &str) -> IntGauge {
    register(registry, IntGauge::new(name, help))
}

/// A gauge with labels. Every combination of `series` starts at zero.
pub fn gauges(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
    series: &[&[&str]],
) -> IntGaugeVec {
    let gauges = register(registry, IntGaugeVec::new(Opts::new(name, help), labels));
    for values in combinations(series) {
        gauges.with_label_values(&values);
    }
    gauges
}

/// A histogram without labels. `buckets` are ascending upper bounds, such as [`SECONDS`].
pub fn histogram(registry: &Registry, name: &str, help: &str, buckets: &[f64]) -> Histogram {
    let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
    register(registry, Histogram::with_opts(opts))
}

/// A histogram with labels. Every combination of `series` starts empty.
pub fn histograms(
    registry: &Registry,
    name: &str,
    help: &str,
    buckets: &[f64],
    labels: &[&str],
    series: &[&[&str]],
) -> HistogramVec {
    let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
    let histograms = register(registry, HistogramVec::new(opts, labels));
    for values in combinations(series) {
        histograms.with_label_values(&values);
    }
    histograms
}

fn register<C: Collector + Clone + 'static>(
    registry: &Registry,
    metric: prometheus::Result<C>,
) -> C {
    let metric = metric.expect(REGISTERED_ONCE);
    registry
        .register(Box::new(metric.clone()))
        .expect(REGISTERED_ONCE);
    metric
}

/// Every combination of one value per label. Without labels there is none.
fn combinations<'a>(series: &[&[&'a str]]) -> Vec<Vec<&'a str>> {
    if series.is_empty() {
        return Vec::new();
    }
    series.iter().fold(vec![Vec::new()], |rows, values| {
        rows.iter()
            .flat_map(|row| {
                values
                    .iter()
                    .map(|value| [row.as_slice(), &[*value]].concat())
            })
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_of_labels_shows_zero_from_the_start() {
        let registry = Registry::new();
        let labels: [&[&str]; 2] = [&["memory", "redis"], &["hit", "miss", "error"]];
        let dedup = counters(
            &registry,
            "risiti_dedup_total",
            "Look-ups.",
            &["tier", "outcome"],
            &labels,
        );
        dedup.with_label_values(&["redis", "hit"]).inc();

        let text = prometheus::TextEncoder::new()
            .encode_to_string(&registry.gather())
            .unwrap();
        let series: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("risiti_dedup_total{"))
            .collect();
        assert_eq!(series.len(), 6);
        assert_eq!(series.iter().filter(|line| line.ends_with(" 0")).count(), 5);
    }

    #[test]
    fn a_label_whose_values_are_not_known_ahead_starts_no_series() {
        let registry = Registry::new();
        gauges(
            &registry,
            "risiti_breaker_state",
            "Per host.",
            &["host"],
            &[],
        );
        assert!(registry.gather().is_empty());
    }

    #[test]
    #[should_panic(expected = "registered once")]
    fn registering_a_name_twice_panics() {
        let registry = Registry::new();
        counter(&registry, "risiti_x_total", "One.");
        counter(&registry, "risiti_x_total", "Two.");
    }
}
