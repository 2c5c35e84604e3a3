//! Gauges of message queues.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use prometheus::{IntGaugeVec, Registry};

use crate::metrics::gauges;

/// What is known of a queue at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueFigures {
    pub waiting: u64,
    pub consumers: u64,
    /// The most that the first message can be old.
    pub oldest: Duration,
}

/// Depth, consumers and age of the first message of each queue, and how old these figures are.
#[derive(Clone, Debug)]
pub struct QueueGauges {
    waiting: IntGaugeVec,
    consumers: IntGaugeVec,
    oldest: IntGaugeVec,
    reading_age: IntGaugeVec,
    read_at: HashMap<&'static str, Instant>,
}

impl QueueGauges {
    pub fn register(registry: &Registry, queues: &[&'static str]) -> Self {
        let of = |name, help| gauges(registry, name, help, &["queue"], &[queues]);
        let now = Instant::now();
        Self {
            waiting: of(
                "risiti_queue_messages",
                "Messages that wait in a queue to be delivered.",
            ),
            consumers: of(
                "risiti_queue_consumers",
                "Consumers of a queue, of all programs.",
            ),
            oldest: of(
                "risiti_queue_oldest_message_seconds",
                "The most that the first message of a queue can be old, by what this program knows.",
            ),
            reading_age: of(
                "risiti_queue_reading_age_seconds",
                "Time since the broker last told about a queue.",
            ),
            read_at: queues.iter().map(|queue| (*queue, now)).collect(),
        }
    }

    /// Shows what was read of a queue. Nothing read leaves the last figures, and lets their age
    /// grow.
    pub fn show(&mut self, queue: &'static str, read: Option<QueueFigures>) {
        let now = Instant::now();
        if let Some(figures) = read {
            self.read_at.insert(queue, now);
            set(&self.waiting, queue, figures.waiting);
            set(&self.consumers, queue, figures.consumers);
            set(&self.oldest, queue, figures.oldest.as_secs());
        }
        let age = self.read_at.get(queue).map(|at| now - *at);
        set(&self.reading_age, queue, age.unwrap_or_default().as_secs());
    }
}

fn set(gauge: &IntGaugeVec, queue: &str, value: u64) {
    let value = i64::try_from(value).unwrap_or(i64::MAX);
    gauge.with_label_values(&[queue]).set(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queue_that_cannot_be_read_keeps_its_figures() {
        let registry = Registry::new();
        let mut gauges = QueueGauges::register(&registry, &["payments"]);
        let figures = QueueFigures {
            waiting: 7,
            consumers: 2,
            oldest: Duration::from_secs(90),
        };
        gauges.show("payments", Some(figures));
        gauges.show("payments", None);
        let text = prometheus::TextEncoder::new()
            .encode_to_string(&registry.gather())
            .unwrap();
        for series in [
            "risiti_queue_messages{queue=\"payments\"} 7\n",
            "risiti_queue_consumers{queue=\"payments\"} 2\n",
            "risiti_queue_oldest_message_seconds{queue=\"payments\"} 90\n",
        ] {
            assert!(text.contains(series), "{text}");
        }
    }
}
