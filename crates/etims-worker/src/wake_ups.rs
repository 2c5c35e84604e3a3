//! Consuming wake-ups: hints that a device has work (protocol D3). They may be repeated, late or
//! lost.

use std::sync::Arc;

use risiti_domain::DeviceId;
use risiti_ledger::LedgerError;
use risiti_queue::{Broker, Consumer, Delivery, Target};
use risiti_service::DatabaseHealth;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::lane::Lanes;
use crate::places::Place;

/// Wake-ups without a place whose marks are removed in one statement.
const WITHOUT_PLACE_MAX: usize = 500;

/// A wake-up that is not used now.
struct WithoutPlace {
    lane: DeviceId,
    delivery: Delivery,
}

/// Takes wake-ups until shutdown, then waits for the lanes that are being worked.
pub(crate) async fn consume(lanes: Arc<Lanes>, health: &DatabaseHealth, broker: &Broker) {
    let (without_place, leaving) = mpsc::channel(WITHOUT_PLACE_MAX);
    tokio::join!(
        take_all(lanes.clone(), health, broker, without_place),
        leave_to_wake_loop(&lanes, leaving),
    );
}

async fn take_all(
    lanes: Arc<Lanes>,
    health: &DatabaseHealth,
    broker: &Broker,
    without_place: mpsc::Sender<WithoutPlace>,
) {
    let mut database_available = health.subscribe();
    let mut wanted = lanes.places.wake_ups();
    wanted.mark_changed();
    let mut consumer = None;
    let mut turns = JoinSet::new();
    loop {
        if let Some(consumer) = &consumer {
            pause_without_database(consumer, *database_available.borrow_and_update());
        }
        tokio::select! {
            biased;
            () = lanes.shutdown.cancelled() => break,
            _ = database_available.changed() => {}
            // The old consumer ends. What it has delivered is still worked and acknowledged.
            Ok(()) = wanted.changed() => {
                let prefetch = *wanted.borrow_and_update();
                consumer = (prefetch > 0).then(|| broker.consumer(Target::Lanes, prefetch));
            }
            Some(_) = turns.join_next() => {}
            delivery = next(&mut consumer) => match delivery {
                Some(delivery) => {
                    turns.spawn(take(lanes.clone(), delivery, without_place.clone()));
                }
                None => break,
            },
        }
    }
    if let Some(consumer) = consumer {
        consumer.cancel();
    }
    while turns.join_next().await.is_some() {}
}

/// A worker without Postgres gives its wake-ups back and waits (protocol B3).
fn pause_without_database(consumer: &Consumer, available: bool) {
    if available {
        consumer.resume();
    } else {
        consumer.pause();
    }
}

/// Waits for ever without a consumer.
async fn next(consumer: &mut Option<Consumer>) -> Option<Delivery> {
    match consumer {
        Some(consumer) => consumer.next().await,
        None => std::future::pending().await,
    }
}

async fn take(lanes: Arc<Lanes>, delivery: Delivery, without_place: mpsc::Sender<WithoutPlace>) {
    match delivery.message.woken_device().map(DeviceId::from_uuid) {
        Some(lane) => match lanes.place(lane).await {
            Ok(Taken::Place(place)) => {
                lanes.turn_or_warn(lane).await;
                drop(place);
            }
            Ok(Taken::NoPlace) => {
                // It comes back to the queue with the end of its channel.
                if !lanes.shutdown.is_cancelled() {
                    let refused = WithoutPlace { lane, delivery };
                    without_place.send(refused).await.ok();
                }
                return;
            }
            Ok(Taken::NoLane) => {}
            Err(error) => tracing::warn!(device_id = %lane, %error, "wake-up not followed"),
        },
        None => tracing::warn!("wake-up names no device"),
    }
    // The work is done or left to the wake loop. A wake-up whose acknowledgement fails comes again.
    if let Err(error) = delivery.ack().await {
        tracing::debug!(%error, "wake-up not acknowledged");
    }
}

/// What a wake-up finds.
enum Taken {
    Place(Place),
    /// The lane's host has none now.
    NoPlace,
    /// The wake-up is for a device without a lane.
    NoLane,
}

impl Lanes {
    async fn place(&self, lane: DeviceId) -> Result<Taken, LedgerError> {
        let known = self.lane_hosts.get(lane);
        let host = match known {
            Some(host) => Some(host),
            None => self.ledger.lane_host(lane).await?,
        };
        let Some(host) = host else {
            return Ok(Taken::NoLane);
        };
        self.lane_hosts.set(lane, &host);
        let place = self.places.take(&host, &self.shutdown).await;
        Ok(place.map_or(Taken::NoPlace, Taken::Place))
    }

    async fn turn_or_warn(&self, lane: DeviceId) {
        if let Err(error) = self.turn(lane).await {
            tracing::warn!(device_id = %lane, %error, "lane given back after an error");
        }
    }
}

/// Removes the marks of lanes whose wake-up found no place, then acknowledges. Without a mark the
/// wake loop wakes a lane as soon as its host has room (protocol D3).
async fn leave_to_wake_loop(lanes: &Lanes, mut leaving: mpsc::Receiver<WithoutPlace>) {
    let mut left = Vec::new();
    while leaving.recv_many(&mut left, WITHOUT_PLACE_MAX).await > 0 {
        let unmark: Vec<DeviceId> = left.iter().map(|wake_up| wake_up.lane).collect();
        if let Err(error) = lanes.ledger.unmark_wake_ups(&unmark).await {
            tracing::debug!(%error, "wake-up marks not removed, they expire");
        }
        Delivery::ack_all(left.drain(..).map(|wake_up| wake_up.delivery)).await;
    }
}
