//! Lane tokens: hints that a device has work (protocol D3). They come twice, late, or not at all.

use std::sync::Arc;
use std::time::Duration;

use risiti_domain::DeviceId;
use risiti_ledger::Ledger;
use risiti_queue::{Consumer, Delivery, Message, Publisher, Target};
use tokio::task::JoinSet;

use crate::database::Database;
use crate::lane::Lanes;

/// Publishes under way at once for one batch of tokens.
const PUBLISHES_MAX: usize = 64;

/// Publishes a token for each lane, all marked as having one; where that fails the mark is taken back, and
/// the wake loop tries again.
pub(crate) async fn publish(
    ledger: &Ledger,
    publisher: &Publisher,
    timeout: Duration,
    lanes: &[DeviceId],
) {
    let mut failed = Vec::new();
    for some in lanes.chunks(PUBLISHES_MAX) {
        let mut publishing = JoinSet::new();
        for lane in some.iter().copied() {
            let publisher = publisher.clone();
            publishing.spawn(async move {
                publisher
                    .publish(Target::Lanes, Message::lane_token(lane.uuid()), timeout)
                    .await
                    .map_err(|error| (lane, error))
            });
        }
        for outcome in publishing.join_all().await {
            if let Err((lane, error)) = outcome {
                tracing::debug!(device_id = %lane, %error, "token not published");
                failed.push(lane);
            }
        }
    }
    if !failed.is_empty()
        && let Err(error) = ledger.unmark_tokens(&failed).await
    {
        tracing::debug!(%error, "tokens not unmarked, they lapse");
    }
}

/// Takes tokens until told to stop, then waits for the lanes in hand. The prefetch bounds those.
pub(crate) async fn consume(lanes: Arc<Lanes>, database: &Database, mut consumer: Consumer) {
    let mut up = database.follow();
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
    match delivery.message.lane_device().map(DeviceId::from_uuid) {
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
