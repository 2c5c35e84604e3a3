//! Lane tokens: hints that a device has work (protocol D3). They come twice, late, or not at all.

use std::sync::Arc;
use std::time::Duration;

use risiti_domain::DeviceId;
use risiti_ledger::Ledger;
use risiti_queue::{Consumer, Delivery, FailedWakeUp, Publisher};
use risiti_service::DatabaseHealth;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::lane::Lanes;

/// Publishes a wake-up for each lane, all marked as having one. Where that fails the mark is taken back, and
/// the wake loop tries again.
pub(crate) async fn publish(
    ledger: &Ledger,
    publisher: &Publisher,
    timeout: Duration,
    lanes: &[DeviceId],
) {
    let devices: Vec<Uuid> = lanes.iter().map(|lane| lane.uuid()).collect();
    let mut unmark = Vec::new();
    for FailedWakeUp { device, error } in publisher.publish_wake_ups(&devices, timeout).await {
        tracing::debug!(device_id = %device, %error, "wake-up not published");
        unmark.push(DeviceId::from_uuid(device));
    }
    if !unmark.is_empty()
        && let Err(error) = ledger.unmark_wake_ups(&unmark).await
    {
        tracing::debug!(%error, "wake-up marks not taken back, they lapse");
    }
}

/// Takes tokens until told to stop, then waits for the lanes in hand. The prefetch bounds those.
pub(crate) async fn consume(lanes: Arc<Lanes>, health: &DatabaseHealth, mut consumer: Consumer) {
    let mut up = health.subscribe();
    let mut working = JoinSet::new();
    loop {
        // A worker that has lost Postgres gives its tokens back and waits (protocol B3).
        if *up.borrow_and_update() {
            consumer.resume()
        } else {
            consumer.pause()
        }
        tokio::select! {
            biased;
            () = lanes.shutdown.cancelled() => break,
            _ = up.changed() => {}
            Some(_) = working.join_next() => {}
            delivery = consumer.next() => match delivery {
                Some(delivery) => { working.spawn(take(lanes.clone(), delivery)); }
                None => break,
            },
        }
    }
    consumer.cancel();
    while working.join_next().await.is_some() {}
}

async fn take(lanes: Arc<Lanes>, delivery: Delivery) {
    match delivery.message.woken_device().map(DeviceId::from_uuid) {
        Some(device) => {
            if let Err(error) = lanes.quantum(device).await {
                tracing::warn!(device_id = %device, %error, "lane left for later");
            }
        }
        None => tracing::warn!("a lane token names no device"),
    }
    // Done, or for the wake loop to mend: a token is a hint, and one that cannot be acked comes again.
    if let Err(error) = delivery.ack().await {
        tracing::debug!(%error, "token not acked");
    }
}
