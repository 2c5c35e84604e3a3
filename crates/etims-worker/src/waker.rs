//! Publishing wake-ups. A wake-up is a hint: one that is not published is left to the wake loop
//! (protocol D3).

use risiti_domain::DeviceId;
use risiti_queue::FailedWakeUp;
use uuid::Uuid;

use crate::lane::Lanes;

/// Publishes a wake-up for each of these lanes, which are marked as having one. Where that fails
/// the mark is removed again, and the wake loop tries later.
pub(crate) async fn publish_wake_ups(lanes: &Lanes, marked: &[DeviceId]) {
    let devices: Vec<Uuid> = marked.iter().map(|lane| lane.uuid()).collect();
    let failed = lanes
        .publisher
        .publish_wake_ups(&devices, lanes.publish_timeout)
        .await;

    let mut unmark = Vec::new();
    for FailedWakeUp { device, error } in failed {
        tracing::debug!(device_id = %device, %error, "wake-up not published");
        unmark.push(DeviceId::from_uuid(device));
    }
    if !unmark.is_empty()
        && let Err(error) = lanes.ledger.unmark_wake_ups(&unmark).await
    {
        tracing::debug!(%error, "wake-up marks not removed, they expire");
    }
}
