//! Waking lanes. A wake-up is a hint, so one that cannot be published is left to the wake loop
//! (protocol D3).

use std::collections::BTreeSet;
use std::time::Duration;

use risiti_domain::DeviceId;
use risiti_ledger::{Ledger, Recorded};
use risiti_queue::{FailedWakeUp, Publisher};
use uuid::Uuid;

use crate::metrics::Metrics;

pub(crate) struct WakeUps {
    pub(crate) ledger: Ledger,
    pub(crate) publisher: Publisher,
    pub(crate) publish_timeout: Duration,
    pub(crate) metrics: Metrics,
}

impl WakeUps {
    /// Publishes one wake-up for each lane that has something new and no wake-up yet.
    pub(crate) async fn publish_for(&self, recorded: &[Recorded]) {
        let lanes: BTreeSet<DeviceId> = recorded
            .iter()
            .flat_map(|recorded| recorded.wake.clone())
            .collect();
        if lanes.is_empty() {
            return;
        }
        let lanes: Vec<DeviceId> = lanes.into_iter().collect();
        match self.ledger.mark_wake_ups(&lanes).await {
            Ok(marked) => self.publish(&marked).await,
            Err(error) => {
                tracing::warn!(
                    lanes = lanes.len(),
                    "failed to mark wake-ups, leaving them to the wake loop: {error}"
                )
            }
        }
    }

    async fn publish(&self, lanes: &[DeviceId]) {
        let devices: Vec<Uuid> = lanes.iter().map(|lane| lane.uuid()).collect();
        let failed = self
            .publisher
            .publish_wake_ups(&devices, self.publish_timeout)
            .await;

        self.metrics
            .wake_ups(devices.len() - failed.len(), failed.len());
        for FailedWakeUp { device, error } in &failed {
            tracing::warn!(device_id = %device, "failed to publish a wake-up: {error}");
        }

        let unmark: Vec<DeviceId> = failed
            .iter()
            .map(|failed| DeviceId::from_uuid(failed.device))
            .collect();
        if !unmark.is_empty()
            && let Err(error) = self.ledger.unmark_wake_ups(&unmark).await
        {
            tracing::warn!(
                lanes = unmark.len(),
                "failed to take back wake-up marks: {error}"
            );
        }
    }
}
