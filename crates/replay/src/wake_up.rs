//! Waking a lane that has work again. A wake-up is a hint, so one that cannot be published is left
//! to the wake loop, and nothing here fails (protocol D3).

use std::time::Duration;

use risiti_domain::DeviceId;
use risiti_ledger::{Ledger, LedgerError};
use risiti_queue::Publisher;
use uuid::Uuid;

/// Publishes a wake-up for a lane, unless it has one already.
pub(crate) async fn wake_lane(
    ledger: &Ledger,
    publisher: &Publisher,
    timeout: Duration,
    lane: DeviceId,
) {
    if let Err(error) = try_wake_lane(ledger, publisher, timeout, lane).await {
        tracing::debug!(
            device_id = %lane,
            "failed to wake a lane, leaving it to the wake loop: {error}"
        );
    }
}

async fn try_wake_lane(
    ledger: &Ledger,
    publisher: &Publisher,
    timeout: Duration,
    lane: DeviceId,
) -> Result<(), LedgerError> {
    let marked = ledger.mark_wake_ups(&[lane]).await?;
    let devices: Vec<Uuid> = marked.iter().map(|lane| lane.uuid()).collect();
    let failed = publisher.publish_wake_ups(&devices, timeout).await;

    if !failed.is_empty() {
        ledger.unmark_wake_ups(&marked).await?;
    }
    Ok(())
}
