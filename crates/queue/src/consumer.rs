//! A consumer that outlives every loss of channel and connection.

use tokio::sync::{mpsc, watch};

use crate::subscription::{ConsumerMode, Subscription};
use crate::{Broker, Delivery, Target};

/// A subscription to one queue, which is renewed after any loss.
#[derive(Debug)]
pub struct Consumer {
    deliveries: mpsc::Receiver<Delivery>,
    mode: watch::Sender<ConsumerMode>,
    _keeps_connections: Broker,
}

impl Consumer {
    /// Returns the next message. It waits while there is none, while the consumer is paused, and
    /// while the broker is away. `None` comes only after [`cancel`](Self::cancel) or when the
    /// broker was closed. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Delivery> {
        while *self.mode.borrow() != ConsumerMode::Cancelled {
            let delivery = self.deliveries.recv().await?;
            // A delivery whose channel died while it waited here is delivered again. Work on it
            // would be lost.
            if !delivery.is_stale() {
                return Some(delivery);
            }
        }
        None
    }

    /// Stops taking messages and gives back all that are held, here and by the caller. Acks of
    /// those will fail. A worker pauses while it cannot work (protocol B3).
    pub fn pause(&self) {
        self.change_mode(ConsumerMode::Running, ConsumerMode::Paused);
    }

    /// Ends a pause.
    pub fn resume(&self) {
        self.change_mode(ConsumerMode::Paused, ConsumerMode::Running);
    }

    /// Stops taking messages for good. The caller can still ack the deliveries it holds. Messages
    /// that were not handed out come back when all of those are settled or dropped.
    pub fn cancel(&self) {
        self.mode.send_replace(ConsumerMode::Cancelled);
    }

    fn change_mode(&self, from: ConsumerMode, to: ConsumerMode) {
        self.mode.send_if_modified(|mode| {
            let changes = *mode == from;
            if changes {
                *mode = to;
            }
            changes
        });
    }
}

/// Makes a consumer and the task that keeps it subscribed.
pub(crate) fn subscribe(
    broker: Broker,
    target: Target,
    prefetch: u16,
) -> (Consumer, impl Future<Output = ()>) {
    // One message waits here. Up to `prefetch` more wait in lapin: the broker sends no more than
    // that.
    let (deliveries_tx, deliveries) = mpsc::channel(1);
    let (mode, mode_rx) = watch::channel(ConsumerMode::Running);
    let subscription = Subscription {
        queue: broker.topology().queue(target).to_owned(),
        target,
        prefetch,
        connection: broker.consuming_connection(),
        mode: mode_rx,
        deliveries: deliveries_tx,
        redeclare: broker.redeclare(),
    };

    let cancelled = broker.cancelled();
    let task = async move {
        tokio::select! {
            () = cancelled.cancelled() => {}
            () = subscription.run() => {}
        }
    };
    let consumer = Consumer {
        deliveries,
        mode,
        _keeps_connections: broker,
    };
    (consumer, task)
}
