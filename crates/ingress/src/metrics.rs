//! The metrics of ingress, without those of the spool.

use std::time::Duration;

use prometheus::{Histogram, HistogramTimer, HistogramVec, IntCounterVec, Registry};
use risiti_domain::Provider;
use risiti_service::metrics::{SECONDS, counters, histogram, histograms};

const PROVIDERS: &[&str] = &["daraja", "paystack", "gumroad"];
const WEBHOOK_OUTCOMES: &[&str] = &[
    "accepted",
    "duplicate",
    "spooled",
    "unreadable",
    "unauthenticated",
    "unknown_path",
    "refused",
    "unavailable",
];

#[derive(Clone)]
pub(crate) struct Metrics {
    webhooks: IntCounterVec,
    webhook_seconds: HistogramVec,
    publish_seconds: Histogram,
    pub(crate) dedup: DedupMetrics,
}

#[derive(Clone)]
pub(crate) struct DedupMetrics(IntCounterVec);

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> Self {
        Self {
            webhooks: counters(
                registry,
                "risiti_webhooks_total",
                "Webhook requests by provider and outcome.",
                &["provider", "outcome"],
                &[PROVIDERS, WEBHOOK_OUTCOMES],
            ),
            webhook_seconds: histograms(
                registry,
                "risiti_webhook_seconds",
                "From request to answer.",
                SECONDS,
                &["provider"],
                &[PROVIDERS],
            ),
            publish_seconds: histogram(
                registry,
                "risiti_publish_seconds",
                "From publish to the broker's confirm, failures included.",
                SECONDS,
            ),
            dedup: DedupMetrics::register(registry),
        }
    }

    pub(crate) fn webhook(&self, provider: Provider, outcome: &str, took: Duration) {
        self.webhooks
            .with_label_values(&[provider.as_str(), outcome])
            .inc();
        self.webhook_seconds
            .with_label_values(&[provider.as_str()])
            .observe(took.as_secs_f64());
    }

    /// Starts to time a publish. It ends with the returned value, which covers publishes that nobody
    /// waits for any more.
    pub(crate) fn time_publish(&self) -> HistogramTimer {
        self.publish_seconds.start_timer()
    }
}

impl DedupMetrics {
    pub(crate) fn register(registry: &Registry) -> Self {
        Self(counters(
            registry,
            "risiti_dedup_total",
            "Deliveries looked up, by tier and outcome.",
            &["tier", "outcome"],
            &[&["memory", "redis"], &["hit", "miss", "error"]],
        ))
    }

    pub(crate) fn memory_hit(&self) {
        self.0.with_label_values(&["memory", "hit"]).inc();
    }

    pub(crate) fn memory_miss(&self) {
        self.0.with_label_values(&["memory", "miss"]).inc();
    }

    pub(crate) fn redis_error(&self) {
        self.redis("error");
    }

    pub(crate) fn redis(&self, outcome: &str) {
        self.0.with_label_values(&["redis", outcome]).inc();
    }
}
