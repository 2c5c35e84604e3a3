//! A message that was delivered and is not yet acknowledged.

use std::fmt;
use std::time::Duration;

use futures_util::future::join_all;
use lapin::options::{BasicAckOptions, BasicRejectOptions};
use lapin::{Acker, Channel};
use tokio::time::timeout;

use crate::{BrokerError, Message};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// A delivered message. Ack it when what it asks for is durable. A delivery that is dropped without
/// ack comes back once its channel closes.
pub struct Delivery {
    pub message: Message,
    /// Whether the broker has delivered it before, to any consumer.
    pub redelivered: bool,
    /// How often it came back without ack. Only quorum queues count this. It is no business retry
    /// counter (protocol B4).
    pub delivery_count: u64,
    acker: Acker,
    /// A channel closes with its last handle, and this delivery still needs it for the ack.
    _channel: Channel,
}

impl Delivery {
    pub(crate) fn new(delivery: lapin::message::Delivery, channel: &Channel) -> Self {
        let (message, delivery_count) = Message::from_delivery(&delivery.properties, delivery.data);
        Self {
            message,
            redelivered: delivery.redelivered,
            delivery_count,
            acker: delivery.acker,
            _channel: channel.clone(),
        }
    }

    /// Tells the broker that the message is done.
    ///
    /// # Errors
    /// The channel is gone, so the message will be delivered again.
    pub async fn ack(self) -> Result<(), BrokerError> {
        settle(self.acker.ack(BasicAckOptions::default()), "ack").await
    }

    /// Acks many deliveries at once, because each ack waits for the socket. Returns how many of
    /// them will be delivered again.
    pub async fn ack_all(deliveries: impl IntoIterator<Item = Self>) -> usize {
        let outcomes = join_all(deliveries.into_iter().map(Self::ack)).await;
        outcomes.into_iter().filter(Result::is_err).count()
    }

    /// Gives the message back at once. This counts against the delivery limit, so it is no way to
    /// say "later" (protocol B4).
    ///
    /// # Errors
    /// The channel is gone. The message will be delivered again all the same.
    pub async fn reject_to_requeue(self) -> Result<(), BrokerError> {
        settle(
            self.acker.reject(BasicRejectOptions { requeue: true }),
            "requeue",
        )
        .await
    }

    pub(crate) fn is_stale(&self) -> bool {
        !self.acker.usable()
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            message,
            redelivered,
            delivery_count,
            ..
        } = self;
        write!(
            f,
            "Delivery({message:?}, redelivered: {redelivered}, count: {delivery_count})"
        )
    }
}

/// Waits for an ack or a reject to be written. The wait is bounded, because a channel that hangs
/// while it closes may never report the write.
async fn settle(
    writing: impl Future<Output = lapin::Result<bool>>,
    what: &'static str,
) -> Result<(), BrokerError> {
    match timeout(REQUEST_TIMEOUT, writing).await {
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false)) => Err(BrokerError::Stale),
        Ok(Err(error)) => Err(BrokerError::Request {
            what,
            source: error.into(),
        }),
        Err(_) => Err(BrokerError::Timeout),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ack_that_is_never_written_times_out() {
        let outcome = settle(std::future::pending(), "ack").await;
        assert!(matches!(outcome, Err(BrokerError::Timeout)), "{outcome:?}");
    }
}
