//! The deliveries that wait for an answer or for their next try. Their number is bounded.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::delivery::{Delivery, DeliveryContext};

pub(crate) struct InFlight {
    pub(crate) context: Arc<DeliveryContext>,
    tasks: JoinSet<()>,
    tasks_max: usize,
    started: u64,
}

impl InFlight {
    pub(crate) fn new(context: Arc<DeliveryContext>, concurrency: u32) -> Self {
        Self {
            context,
            tasks: JoinSet::new(),
            // A delivery that waits for its next try takes no permit. It is counted here, so that
            // memory stays bounded.
            tasks_max: concurrency as usize * 8,
            started: 0,
        }
    }

    /// Waits for room, then starts the delivery.
    pub(crate) async fn start_when_room(&mut self, delivery: Delivery) {
        while self.tasks.len() >= self.tasks_max {
            self.tasks.join_next().await;
        }
        self.start(delivery);
        // Without this wait a full window would be spawned before the first request leaves.
        drop(self.context.in_flight.acquire().await);
    }

    pub(crate) fn has_room(&mut self) -> bool {
        while self.tasks.try_join_next().is_some() {}
        self.tasks.len() < self.tasks_max && self.context.in_flight.available_permits() > 0
    }

    pub(crate) fn start(&mut self, delivery: Delivery) {
        self.tasks.spawn(delivery.send(self.context.clone()));
        self.started += 1;
    }

    /// Waits for all deliveries, and returns how many there were.
    pub(crate) async fn finish(mut self) -> u64 {
        while self.tasks.join_next().await.is_some() {}
        self.started
    }
}
