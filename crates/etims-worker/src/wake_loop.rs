//! The loop that brings a lane back after a crash, a lost wake-up, a lost broker or a pause
//! (protocol D3).

use std::time::Duration;

use risiti_queue::{Broker, BrokerState, Target};
use risiti_service::DatabaseHealth;

use crate::lane::Lanes;
use crate::waker;

pub(crate) async fn run(
    lanes: &Lanes,
    health: &DatabaseHealth,
    broker: &Broker,
    interval: Duration,
) {
    let database_available = health.subscribe();
    let broker_state = broker.state();
    loop {
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            () = lanes.shutdown.cancelled() => return,
        }
        // A mark without a published wake-up would only hide the lane from other workers.
        if *database_available.borrow() && *broker_state.borrow() == BrokerState::Up {
            wake_due_lanes(lanes, broker).await;
        }
    }
}

async fn wake_due_lanes(lanes: &Lanes, broker: &Broker) {
    // A queue whose depth is not known does not count as empty.
    let queue_is_empty = broker
        .depth(Target::Lanes)
        .await
        .is_ok_and(|waiting| waiting == 0);
    let limits = lanes.places.wake_limits();
    match lanes.ledger.wake_lanes(queue_is_empty, &limits).await {
        Ok(due) if due.is_empty() => {}
        Ok(due) => waker::publish_wake_ups(lanes, &due).await,
        Err(error) => tracing::warn!(%error, "lanes not woken"),
    }
}
