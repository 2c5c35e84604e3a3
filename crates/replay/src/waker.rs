//! Waking a lane that has work again. A token is a hint: one that cannot be published is left to the wake loop
//! (protocol D3), so nothing here fails.

use std::time::Duration;

use risiti_domain::DeviceId;
use risiti_ledger::{Ledger, LedgerError};
use risiti_queue::{Message, Publisher, Target};

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
    for lane in ledger.mark_tokens(&[lane]).await? {
        if publisher
            .publish(Target::Lanes, Message::lane_token(lane.uuid()), timeout)
            .await
            .is_err()
        {
            ledger.unmark_tokens(&[lane]).await?;
        }
    }
    Ok(())
}
