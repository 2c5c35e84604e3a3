//! The metrics of ingress, without those of the spool.
//!
//! Every series is looked up once, at the start. The look-up by labels takes a lock and hashes them,
//! which is too much for each webhook.

use std::array;
use std::time::Duration;

use prometheus::{
    Histogram, HistogramTimer, HistogramVec, IntCounter, IntCounterVec, IntGauge, Registry,
};
use risiti_domain::Provider;
use risiti_service::metrics::{SECONDS, counters, gauge, histogram, histograms};

use crate::connection::HeadRefusal;

const PROVIDERS: &[&str] = &["daraja", "paystack", "gumroad"];
/// A path may also name no provider, or none that we know.
const PROVIDERS_OF_PATHS: &[&str] = &["daraja", "paystack", "gumroad", "unknown"];

/// How a webhook request ended, as `risiti_webhooks_total` counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Accepted,
    Duplicate,
    Spooled,
    Unreadable,
    Unauthenticated,
    UnknownPath,
    Refused,
    Unavailable,
}

/// The label of each outcome, in the order of the enum.
const OUTCOMES: [&str; 8] = [
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
    daraja: ProviderMetrics,
    paystack: ProviderMetrics,
    gumroad: ProviderMetrics,
    misaddressed_unknown: IntCounter,
    expired_secret: IntCounterVec,
    ending_secret: IntCounterVec,
    publish_seconds: Histogram,
    pub(crate) dedup: DedupMetrics,
    pub(crate) connections: ConnectionMetrics,
}

/// The series of one provider.
#[derive(Clone)]
struct ProviderMetrics {
    /// In the order of [`OUTCOMES`].
    outcomes: [IntCounter; OUTCOMES.len()],
    seconds: Histogram,
    misaddressed: IntCounter,
}

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> Self {
        let webhooks = counters(
            registry,
            "risiti_webhooks_total",
            "Webhook requests by provider and outcome.",
            &["provider", "outcome"],
            &[PROVIDERS, &OUTCOMES],
        );
        let seconds = histograms(
            registry,
            "risiti_webhook_seconds",
            "From request to answer.",
            SECONDS,
            &["provider"],
            &[PROVIDERS],
        );
        let misaddressed = counters(
            registry,
            "risiti_webhooks_misaddressed_total",
            "Requests with a right path secret to a path that is not served.",
            &["provider"],
            &[PROVIDERS_OF_PATHS],
        );

        let of = |provider| ProviderMetrics::new(provider, &webhooks, &seconds, &misaddressed);
        Self {
            daraja: of(Provider::Daraja),
            paystack: of(Provider::Paystack),
            gumroad: of(Provider::Gumroad),
            misaddressed_unknown: misaddressed.with_label_values(&["unknown"]),
            expired_secret: counters(
                registry,
                "risiti_webhooks_expired_secret_total",
                "Requests with a path secret that has ended, by merchant.",
                &["merchant"],
                &[],
            ),
            ending_secret: counters(
                registry,
                "risiti_webhooks_ending_secret_total",
                "Requests with a path secret that was replaced and still works, by merchant.",
                &["merchant"],
                &[],
            ),
            publish_seconds: histogram(
                registry,
                "risiti_publish_seconds",
                "From publish to the broker's confirm, failures included.",
                SECONDS,
            ),
            dedup: DedupMetrics::register(registry),
            connections: ConnectionMetrics::register(registry),
        }
    }

    fn of(&self, provider: Provider) -> &ProviderMetrics {
        match provider {
            Provider::Daraja => &self.daraja,
            Provider::Paystack => &self.paystack,
            Provider::Gumroad => &self.gumroad,
        }
    }

    pub(crate) fn webhook(&self, provider: Provider, outcome: Outcome, took: Duration) {
        let metrics = self.of(provider);
        metrics.outcomes[outcome as usize].inc();
        metrics.seconds.observe(took.as_secs_f64());
    }

    /// Counts a request with a right path secret to a path that is not served. `provider` is the
    /// one that the path names, if any.
    pub(crate) fn misaddressed(&self, provider: Option<Provider>) {
        match provider {
            Some(provider) => self.of(provider).misaddressed.inc(),
            None => self.misaddressed_unknown.inc(),
        }
    }

    /// Counts a request with a path secret of this merchant that has ended.
    pub(crate) fn expired_secret(&self, merchant: &str) {
        self.expired_secret.with_label_values(&[merchant]).inc();
    }

    /// Counts a request with a path secret of this merchant that was replaced and still works.
    pub(crate) fn ending_secret(&self, merchant: &str) {
        self.ending_secret.with_label_values(&[merchant]).inc();
    }

    /// Starts to time a publish. It ends with the returned value, which covers publishes that nobody
    /// waits for any more.
    pub(crate) fn time_publish(&self) -> HistogramTimer {
        self.publish_seconds.start_timer()
    }
}

impl ProviderMetrics {
    fn new(
        provider: Provider,
        webhooks: &IntCounterVec,
        seconds: &HistogramVec,
        misaddressed: &IntCounterVec,
    ) -> Self {
        let provider = provider.as_str();
        Self {
            outcomes: array::from_fn(|place| {
                webhooks.with_label_values(&[provider, OUTCOMES[place]])
            }),
            seconds: seconds.with_label_values(&[provider]),
            misaddressed: misaddressed.with_label_values(&[provider]),
        }
    }
}

/// Why a connection or a body was given up.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    /// It took too long.
    Slow,
    /// Its source had too many connections.
    Source,
    /// Others needed its place.
    Crowd,
    /// Others needed its memory.
    Memory,
}

#[derive(Clone)]
pub(crate) struct ConnectionMetrics {
    open: IntGauge,
    /// In the order of [`Cut`].
    cut: [IntCounter; 4],
    /// In the order of [`HeadRefusal`].
    refused_heads: [IntCounter; 3],
}

impl ConnectionMetrics {
    pub(crate) fn register(registry: &Registry) -> Self {
        const REASONS: [&str; 4] = ["slow", "source", "crowd", "memory"];
        const REFUSALS: [&str; 3] = ["malformed", "too_large", "too_slow"];
        let cut = counters(
            registry,
            "risiti_connections_cut_total",
            "Connections and bodies given up, by reason.",
            &["reason"],
            &[&REASONS],
        );
        let refused = counters(
            registry,
            "risiti_heads_refused_total",
            "Request heads refused, by reason.",
            &["reason"],
            &[&REFUSALS],
        );
        Self {
            open: gauge(registry, "risiti_connections", "Connections that are open."),
            cut: REASONS.map(|reason| cut.with_label_values(&[reason])),
            refused_heads: REFUSALS.map(|reason| refused.with_label_values(&[reason])),
        }
    }

    pub(crate) fn set_open(&self, count: usize) {
        self.open.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub(crate) fn cut(&self, why: Cut, count: usize) {
        self.cut[why as usize].inc_by(count as u64);
    }

    pub(crate) fn refused_head(&self, why: HeadRefusal) {
        self.refused_heads[why as usize].inc();
    }
}

#[derive(Clone)]
pub(crate) struct DedupMetrics {
    memory_hit: IntCounter,
    memory_miss: IntCounter,
    redis_hit: IntCounter,
    redis_miss: IntCounter,
    redis_error: IntCounter,
}

impl DedupMetrics {
    pub(crate) fn register(registry: &Registry) -> Self {
        let dedup = counters(
            registry,
            "risiti_dedup_total",
            "Deliveries looked up, by tier and outcome.",
            &["tier", "outcome"],
            &[&["memory", "redis"], &["hit", "miss", "error"]],
        );
        let series = |tier, outcome| dedup.with_label_values(&[tier, outcome]);
        Self {
            memory_hit: series("memory", "hit"),
            memory_miss: series("memory", "miss"),
            redis_hit: series("redis", "hit"),
            redis_miss: series("redis", "miss"),
            redis_error: series("redis", "error"),
        }
    }

    pub(crate) fn memory_hit(&self) {
        self.memory_hit.inc();
    }

    pub(crate) fn memory_miss(&self) {
        self.memory_miss.inc();
    }

    pub(crate) fn redis_error(&self) {
        self.redis("error");
    }

    pub(crate) fn redis(&self, outcome: &str) {
        match outcome {
            "hit" => self.redis_hit.inc(),
            "miss" => self.redis_miss.inc(),
            _ => self.redis_error.inc(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_is_counted_under_its_own_label() {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry);
        for (outcome, label) in [
            (Outcome::Accepted, "accepted"),
            (Outcome::Duplicate, "duplicate"),
            (Outcome::Spooled, "spooled"),
            (Outcome::Unreadable, "unreadable"),
            (Outcome::Unauthenticated, "unauthenticated"),
            (Outcome::UnknownPath, "unknown_path"),
            (Outcome::Refused, "refused"),
            (Outcome::Unavailable, "unavailable"),
        ] {
            metrics.webhook(Provider::Gumroad, outcome, Duration::ZERO);
            let text = prometheus::TextEncoder::new()
                .encode_to_string(&registry.gather())
                .unwrap();
            let series = format!("{{outcome=\"{label}\",provider=\"gumroad\"}} 1\n");
            assert!(text.contains(&series), "{text}");
        }
    }
}
