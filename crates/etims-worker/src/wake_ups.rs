//! Consuming wake-ups: hints that a device has work (protocol D3). They may be repeated, late or
//! lost.

use std::sync::Arc;

use risiti_domain::DeviceId;
use risiti_queue::{Consumer, Delivery};
use risiti_service::DatabaseHealth;
use tokio::task::JoinSet;

use crate::lane::Lanes;

/// Takes wake-ups until shutdown, then waits for the lanes that are being worked. The prefetch
/// bounds their number.
pub(crate) async fn consume(lanes: Arc<Lanes>, health: &DatabaseHealth, mut consumer: Consumer) {
    let mut database_available = health.subscribe();
    let mut turns = JoinSet::new();
    loop {
        // A worker without Postgres gives its wake-ups back and waits (protocol B3).
        if *database_available.borrow_and_update() {
            consumer.resume()
        } else {
            consumer.pause()
        }
        tokio::select! {
            biased;
            () = lanes.shutdown.cancelled() => break,
            _ = database_available.changed() => {}
            Some(_) = turns.join_next() => {}
            delivery = consumer.next() => match delivery {
                Some(delivery) => { turns.spawn(take(lanes.clone(), delivery)); }
                None => break,
            },
        }
    }
    consumer.cancel();
    while turns.join_next().await.is_some() {}
}

async fn take(lanes: Arc<Lanes>, delivery: Delivery) {
    match delivery.message.woken_device().map(DeviceId::from_uuid) {
        Some(device) => {
            if let Err(error) = lanes.turn(device).await {
                tracing::warn!(device_id = %device, %error, "lane given back after an error");
            }
        }
        None => tracing::warn!("wake-up names no device"),
    }
    // The work is done or left to the wake loop. A wake-up whose acknowledgement fails comes again.
    if let Err(error) = delivery.ack().await {
        tracing::debug!(%error, "wake-up not acknowledged");
    }
}
