//! When all is done, nothing may be left on its way: neither in a spool nor in a queue.

use std::time::Duration;

use risiti_testkit::messages_in;
use tokio::time::{Instant, sleep};

use crate::programme::{Program, Server};
use crate::run::Scene;
use crate::stage::NAMESPACE;

const PATIENCE: Duration = Duration::from_secs(60);

impl Scene {
    /// While the programs run.
    pub(crate) async fn left_in_spools(&self) -> Vec<String> {
        let mut left = Vec::new();
        for ingress in Program::INGRESSES {
            let what = format!("the spool of {}", ingress.name());
            let count = async || entries(&self.metrics(ingress).await?);
            left.extend(is_emptied(&what, PATIENCE, count).await);
        }
        left
    }

    /// After the programs have ended, so that whatever one held without an ack is there again. What is dead stays.
    pub(crate) async fn left_in_queues(&self) -> Vec<String> {
        let mut left = Vec::new();
        for queue in ["payments", "suspects"] {
            left.extend(
                is_emptied(&format!("the queue {queue}"), PATIENCE, async || {
                    if let Some(count) =
                        messages_in(&self.servers.amqp_url, &format!("{NAMESPACE}.{queue}")).await
                    {
                        return Some(u64::from(count));
                    }
                    // Somebody may have killed it once more.
                    let _ = self.servers.ask("start", Server::Rabbitmq).await;
                    None
                })
                .await,
            );
        }
        left
    }
}

/// Nothing, or what to say about it.
async fn is_emptied(
    what: &str,
    patience: Duration,
    count: impl AsyncFn() -> Option<u64>,
) -> Option<String> {
    let deadline = Instant::now() + patience;
    loop {
        let found = count().await;
        if found == Some(0) {
            return None;
        }
        if Instant::now() > deadline {
            let found = found.map_or_else(
                || "something nobody can count".to_owned(),
                |count| count.to_string(),
            );
            return Some(format!("{what} still holds {found}"));
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// Without a spool there is no such gauge, and nothing in it.
fn entries(metrics: &str) -> Option<u64> {
    let gauge = metrics
        .lines()
        .find(|line| line.starts_with("risiti_spool_entries "));
    gauge.map_or(Some(0), |line| line.rsplit_once(' ')?.1.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gauge_is_found() {
        let metrics = "# TYPE risiti_spool_entries gauge\nrisiti_spool_entries 12\nrisiti_spool_entries_x 3\n";
        assert_eq!(entries(metrics), Some(12));
        assert_eq!(entries(""), Some(0));
    }

    #[tokio::test]
    async fn what_does_not_empty_is_told() {
        let told = is_emptied("the queue", Duration::ZERO, async || Some(3)).await;
        assert_eq!(told.as_deref(), Some("the queue still holds 3"));
        assert_eq!(
            is_emptied("the queue", Duration::ZERO, async || Some(0)).await,
            None
        );
    }
}
