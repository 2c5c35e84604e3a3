//! Work that is left after the run. Every spool and every queue must be empty then.

use std::time::Duration;

use risiti_testkit::messages_in;
use tokio::time::{Instant, sleep};

use crate::environment::Environment;
use crate::launcher::NAMESPACE;
use crate::target::{Program, Server};

/// How long a spool or a queue may take to become empty.
const EMPTY_WITHIN: Duration = Duration::from_secs(60);

impl Environment {
    /// Reports each spool that does not become empty. The programs must run.
    pub(crate) async fn remaining_in_spools(&self) -> Vec<String> {
        let mut remaining = Vec::new();
        for ingress in Program::INGRESSES {
            let what = format!("the spool of {}", ingress.name());
            let count = async || spool_entries(&self.metrics(ingress).await?);
            remaining.extend(wait_until_empty(&what, EMPTY_WITHIN, count).await);
        }
        remaining
    }

    /// Reports each queue that does not become empty. The programs must have ended, so that
    /// messages they held without an ack are back in their queues. Dead letters may stay.
    pub(crate) async fn remaining_in_queues(&self) -> Vec<String> {
        let mut remaining = Vec::new();
        for queue in ["payments", "suspects"] {
            let what = format!("the queue {queue}");
            let count = async || self.count_messages(queue).await;
            remaining.extend(wait_until_empty(&what, EMPTY_WITHIN, count).await);
        }
        remaining
    }

    async fn count_messages(&self, queue: &str) -> Option<u64> {
        let queue = format!("{NAMESPACE}.{queue}");
        if let Some(count) = messages_in(&self.servers.amqp_url, &queue).await {
            return Some(u64::from(count));
        }
        // Somebody may have killed the broker once more.
        let _ = self.servers.control("start", Server::Rabbitmq).await;
        None
    }
}

/// Returns none once the count is zero, and otherwise a sentence that says what is left.
async fn wait_until_empty(
    what: &str,
    within: Duration,
    count: impl AsyncFn() -> Option<u64>,
) -> Option<String> {
    let deadline = Instant::now() + within;
    loop {
        let found = count().await;
        if found == Some(0) {
            return None;
        }
        if Instant::now() > deadline {
            let found = found.map_or_else(
                || "something that cannot be counted".to_owned(),
                |count| count.to_string(),
            );
            return Some(format!("{what} still holds {found}"));
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// Reads the gauge of spool entries. An ingress without a spool has no such gauge.
fn spool_entries(metrics: &str) -> Option<u64> {
    let gauge = metrics
        .lines()
        .find(|line| line.starts_with("risiti_spool_entries "));
    gauge.map_or(Some(0), |line| line.rsplit_once(' ')?.1.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spool_gauge_is_found() {
        let metrics = "# TYPE risiti_spool_entries gauge\n\
            risiti_spool_entries 12\n\
            risiti_spool_entries_x 3\n";
        assert_eq!(spool_entries(metrics), Some(12));
        assert_eq!(spool_entries(""), Some(0));
    }

    #[tokio::test]
    async fn queue_that_does_not_empty_is_reported() {
        let report = wait_until_empty("the queue", Duration::ZERO, async || Some(3)).await;
        assert_eq!(report.as_deref(), Some("the queue still holds 3"));

        let report = wait_until_empty("the queue", Duration::ZERO, async || Some(0)).await;
        assert_eq!(report, None);
    }
}
