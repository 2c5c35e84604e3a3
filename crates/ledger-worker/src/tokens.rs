//! Waking lanes. A token is a hint: one that cannot be published is left to the wake loop (protocol D3).

use std::collections::BTreeSet;
use std::time::Duration;

use risiti_domain::DeviceId;
use risiti_ledger::{Ledger, Recorded};
use risiti_queue::{Message, Publisher, Target};

use crate::metrics::Metrics;

pub(crate) struct Waker {
    pub(crate) ledger: Ledger,
    pub(crate) publisher: Publisher,
    pub(crate) publish_timeout: Duration,
    pub(crate) metrics: Metrics,
}

impl Waker {
    /// One token for each lane that has something new and no token yet.
    pub(crate) async fn wake(&self, recorded: &[Recorded]) {
        let lanes: BTreeSet<DeviceId> = recorded
            .iter()
            .flat_map(|recorded| recorded.wake.clone())
            .collect();
        if lanes.is_empty() {
            return;
        }
        let lanes: Vec<DeviceId> = lanes.into_iter().collect();
        match self.ledger.mark_tokens(&lanes).await {
            Ok(marked) => self.publish(&marked).await,
            Err(error) => {
                tracing::warn!(
                    lanes = lanes.len(),
                    "failed to wake lanes, the wake loop will: {error}"
                )
            }
        }
    }

    async fn publish(&self, lanes: &[DeviceId]) {
        let publishes = lanes.iter().map(|lane| async move {
            let published = self
                .publisher
                .publish(
                    Target::Lanes,
                    Message::lane_token(lane.uuid()),
                    self.publish_timeout,
                )
                .await;
            self.metrics.token(published.is_ok());
            published.err().map(|error| {
                tracing::warn!(device_id = %lane, "failed to publish a lane token: {error}");
                *lane
            })
        });
        let failed: Vec<DeviceId> = futures_util::future::join_all(publishes)
            .await
            .into_iter()
            .flatten()
            .collect();
        if !failed.is_empty()
            && let Err(error) = self.ledger.unmark_tokens(&failed).await
        {
            tracing::warn!(
                lanes = failed.len(),
                "failed to take back token marks: {error}"
            );
        }
    }
}
