//! A consumer that outlives every loss of channel and connection.

use tokio::sync::{mpsc, watch};

use crate::subscription::{ConsumerMode, Forwarded, Subscription, Wanted};
use crate::{Broker, Delivery, Target};

/// A subscription to one queue, which is renewed after any loss.
#[derive(Debug)]
pub struct Consumer {
    deliveries: mpsc::Receiver<Forwarded>,
    wanted: watch::Sender<Wanted>,
    _keeps_connections: Broker,
}

impl Consumer {
    /// Returns the next message. It waits while there is none, while the consumer is paused, and
    /// while the broker is away. `None` comes only after [`cancel`](Self::cancel) or when the
    /// broker was closed. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Delivery> {
        while self.wanted.borrow().mode != ConsumerMode::Cancelled {
            let Forwarded { delivery, change } = self.deliveries.recv().await?;
            // A delivery whose channel died or is about to be closed is delivered again. Work on it
            // would be lost.
            if !delivery.is_stale() && change == self.wanted.borrow().change {
                return Some(delivery);
            }
        }
        None
    }

    /// Whether no message waits to be handed out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.deliveries.is_empty()
    }

    /// Stops taking messages and gives back all that are held, here and by the caller. Acks of
    /// those will fail. A worker pauses while it cannot work (protocol B3).
    pub fn pause(&self) {
        self.change_mode(ConsumerMode::Paused);
    }

    /// Takes messages, as many at once as the prefetch allows.
    pub fn resume(&self) {
        self.change_mode(ConsumerMode::Running);
    }

    /// Takes one message at a time, so that no more than one is delivered again when it cannot be
    /// worked on. [`resume`](Self::resume) ends this.
    pub fn resume_one_by_one(&self) {
        self.change_mode(ConsumerMode::OneByOne);
    }

    /// Stops taking messages for good. The caller can still ack the deliveries it holds. Messages
    /// that were not handed out come back when all of those are settled or dropped.
    pub fn cancel(&self) {
        self.change_mode(ConsumerMode::Cancelled);
    }

    fn change_mode(&self, to: ConsumerMode) {
        self.wanted.send_if_modified(|wanted| {
            let changes = wanted.mode != to && wanted.mode != ConsumerMode::Cancelled;
            if changes {
                wanted.mode = to;
                wanted.change += 1;
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
    // The broker sends no more than this, so no message waits elsewhere, and each is known from its
    // arrival on.
    let (deliveries_tx, deliveries) = mpsc::channel(prefetch.into());
    let (wanted, wanted_rx) = watch::channel(Wanted {
        mode: ConsumerMode::Running,
        change: 0,
    });
    let subscription = Subscription {
        queue: broker.topology().queue(target).to_owned(),
        target,
        prefetch,
        connection: broker.consuming_connection(),
        wanted: wanted_rx,
        deliveries: deliveries_tx,
        traffic: broker.traffic().clone(),
        redeclare: broker.redeclare(),
        cancel: broker.cancelled(),
        channel_tasks: broker.channel_tasks(),
    };
    let task = subscription.run();
    let consumer = Consumer {
        deliveries,
        wanted,
        _keeps_connections: broker,
    };
    (consumer, task)
}
