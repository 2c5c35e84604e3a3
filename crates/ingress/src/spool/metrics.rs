//! The spool's numbers, as they are at the moment somebody asks.

use std::time::SystemTime;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Registry};
use risiti_service::metrics::{counter, counters, gauge};
use risiti_spool::{Spool, Status};
use tokio::sync::watch;

/// Registered whether there is a spool or not: its series show zero from the start.
pub(crate) fn register(registry: &Registry, spool: Option<&Spool>, limit: u64) {
    let unlisted = Registry::new();
    let gauge = |name: &str, help: &str| gauge(&unlisted, name, help);
    let numbers = Numbers {
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
            &unlisted,
            "risiti_spool_commits_total",
            "Transactions the spool wrote to disk.",
        ),
        refused: counters(
            &unlisted,
            "risiti_spool_refused_total",
            "Webhooks the spool could not hold, by reason.",
            &["reason"],
            &[&["full", "disk"]],
        ),
    };
    numbers.limit.set(i64::try_from(limit).unwrap_or(i64::MAX));
    registry
        .register(Box::new(numbers))
        .expect("metric names are constants and each is registered once");
}

struct Numbers {
    status: Option<watch::Receiver<Status>>,
    entries: IntGauge,
    bytes: IntGauge,
    oldest: IntGauge,
    limit: IntGauge,
    damaged: IntGauge,
    commits: IntCounter,
    refused: IntCounterVec,
}

impl Numbers {
    fn parts(&self) -> [&dyn Collector; 7] {
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

    fn read(&self, status: &Status) {
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
            |counter: &IntCounter, now: u64| counter.inc_by(now.saturating_sub(counter.get()));
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

impl Collector for Numbers {
    fn desc(&self) -> Vec<&Desc> {
        self.parts().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        if let Some(status) = &self.status {
            self.read(&status.borrow());
        }
        self.parts()
            .into_iter()
            .flat_map(Collector::collect)
            .collect()
    }
}
