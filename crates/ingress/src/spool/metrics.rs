//! The spool's metrics, read from its status whenever they are collected.

use std::time::SystemTime;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Registry};
use risiti_service::metrics::{counter, counters, gauge};
use risiti_spool::{Spool, Status};
use tokio::sync::watch;

/// Registers the metrics, whether there is a spool or not, so that each series shows zero from the
/// start.
pub(crate) fn register(registry: &Registry, spool: Option<&Spool>, limit: u64) {
    // The parts are registered here only to be built. The program's registry gets them as one
    // collector, which updates them first.
    let own_registry = Registry::new();
    let gauge = |name: &str, help: &str| gauge(&own_registry, name, help);
    let metrics = SpoolMetrics {
        status: spool.map(Spool::status),
        entries: gauge(
            "risiti_spool_entries",
            "Webhooks held on disk while the broker is away.",
        ),
        bytes: gauge(
            "risiti_spool_bytes",
            "Bytes of webhooks held on disk while the broker is away.",
        ),
        oldest: gauge(
            "risiti_spool_oldest_entry_seconds",
            "Age of the oldest webhook held on disk; 0: none.",
        ),
        limit: gauge(
            "risiti_spool_limit_bytes",
            "Bytes of webhooks the spool holds at most; 0: no spool.",
        ),
        damaged: gauge(
            "risiti_spool_damaged_files",
            "Damaged spool files set aside in the data directory.",
        ),
        commits: counter(
            &own_registry,
            "risiti_spool_commits_total",
            "Transactions the spool wrote to disk.",
        ),
        refused: counters(
            &own_registry,
            "risiti_spool_refused_total",
            "Webhooks the spool could not hold, by reason.",
            &["reason"],
            &[&["full", "disk"]],
        ),
    };
    metrics.limit.set(i64::try_from(limit).unwrap_or(i64::MAX));
    registry
        .register(Box::new(metrics))
        .expect("metric names are constants and each is registered once");
}

struct SpoolMetrics {
    status: Option<watch::Receiver<Status>>,
    entries: IntGauge,
    bytes: IntGauge,
    oldest: IntGauge,
    limit: IntGauge,
    damaged: IntGauge,
    commits: IntCounter,
    refused: IntCounterVec,
}

impl SpoolMetrics {
    fn collectors(&self) -> [&dyn Collector; 7] {
        let Self {
            entries,
            bytes,
            oldest,
            limit,
            damaged,
            commits,
            refused,
            ..
        } = self;
        [entries, bytes, oldest, limit, damaged, commits, refused]
    }

    fn update(&self, status: &Status) {
        let set =
            |gauge: &IntGauge, value: u64| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        let age = status
            .oldest
            .map(|then| SystemTime::now().duration_since(then).unwrap_or_default());

        set(&self.entries, status.entries);
        set(&self.bytes, status.bytes);
        set(&self.oldest, age.unwrap_or_default().as_secs());
        set(&self.damaged, status.damaged_files);

        let raise =
            |counter: &IntCounter, total: u64| counter.inc_by(total.saturating_sub(counter.get()));
        raise(&self.commits, status.commits);
        raise(
            &self.refused.with_label_values(&["full"]),
            status.refused_full,
        );
        raise(
            &self.refused.with_label_values(&["disk"]),
            status.refused_disk,
        );
    }
}

impl Collector for SpoolMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.collectors()
            .into_iter()
            .flat_map(Collector::desc)
            .collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        if let Some(status) = &self.status {
            self.update(&status.borrow());
        }
        self.collectors()
            .into_iter()
            .flat_map(Collector::collect)
            .collect()
    }
}
