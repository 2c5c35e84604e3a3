//! Waking a lane that has work again. A token is a hint: one that cannot be published is left to the wake loop
//! (protocol D3), so nothing here fails.

use std::time::Duration;

use risiti_domain::DeviceId;
use risiti_ledger::{Ledger, LedgerError};
use risiti_queue::Publisher;
use uuid::Uuid;

/// One token, where the lane needs one.
pub(crate) async fn wake(
    ledger: &Ledger,
    publisher: &Publisher,
    timeout: Duration,
    lane: DeviceId,
) {
    if let Err(error) = try_wake(ledger, publisher, timeout, lane).await {
        tracing::debug!(device_id = %lane, "left to the wake loop: {error}");
    }
}

async fn try_wake(
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
