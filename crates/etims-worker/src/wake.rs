//! The loop that brings a lane back after a crash, a lost token, a lost broker or a back-off (protocol D3).

use std::time::Duration;

use risiti_queue::{Broker, BrokerState, Target};
use risiti_service::DatabaseHealth;

use crate::lane::Lanes;
use crate::tokens;

pub(crate) async fn run(
    lanes: &Lanes,
    health: &DatabaseHealth,
    broker: &Broker,
    interval: Duration,
) {
    let (up, state) = (health.subscribe(), broker.state());
    loop {
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            () = lanes.shutdown.cancelled() => return,
        }
        // Marking lanes whose token cannot be published would only hide them from others.
        if *up.borrow() && *state.borrow() == BrokerState::Up {
            once(lanes, broker).await;
        }
    }
}

async fn once(lanes: &Lanes, broker: &Broker) {
    // A queue nobody can count is not known to be empty.
    let empty = broker
        .depth(Target::Lanes)
        .await
        .is_ok_and(|waiting| waiting == 0);
    match lanes.ledger.wake_lanes(empty).await {
        Ok(due) if due.is_empty() => {}
        Ok(due) => {
            tokens::publish(&lanes.ledger, &lanes.publisher, lanes.publish_timeout, &due).await
        }
        Err(error) => tracing::warn!(%error, "lanes were not woken"),
    }
}
