//! A message that was delivered and is not yet acknowledged.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all, poll_fn, ready};
use lapin::options::{BasicAckOptions, BasicRejectOptions};
use lapin::{Acker, Channel};
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::closing::close_channel;
use crate::request::answered;
use crate::settled::Settled;
use crate::traffic::HeldDelivery;
use crate::{BrokerError, Message};

/// A delivered message. Ack it when what it asks for is durable. A delivery that is dropped without
/// ack comes back once its channel closes.
pub struct Delivery {
    pub message: Message,
    /// Whether the broker has delivered it before, to any consumer.
    pub redelivered: bool,
    /// How often it came back without ack. Only quorum queues count this. It is no business retry
    /// counter (protocol B4).
    pub delivery_count: u64,
    /// When it arrived. None is held for more than five minutes (protocol B3).
    pub held_since: Instant,
    tag: u64,
    acker: Acker,
    channel: Arc<DeliveryChannel>,
    held: HeldDelivery,
}

/// A channel that messages are delivered on. It closes with its last handle, and every delivery
/// still needs it for the ack.
pub(crate) struct DeliveryChannel {
    pub(crate) channel: Channel,
    /// The connection waits for these before it closes.
    channel_tasks: TaskTracker,
    /// Locked while acks and rejects are begun, so that none overtakes one that covers it. The
    /// broker closes the channel over a tag that is settled already.
    ///
    /// It is not locked until they are written. A task may begin one of them and then wait for
    /// another, and would wait for itself.
    settled: Mutex<Settled>,
}

/// An ack or a reject that is begun, and ends when it is written.
type Writing = BoxFuture<'static, lapin::Result<bool>>;

impl DeliveryChannel {
    pub(crate) fn new(channel: Channel, channel_tasks: TaskTracker) -> Arc<Self> {
        Arc::new(Self {
            channel,
            channel_tasks,
            settled: Mutex::new(Settled::default()),
        })
    }

    /// Acks deliveries of this channel, as many as possible by one ack. Returns how many of them
    /// will be delivered again.
    async fn ack(&self, mut deliveries: Vec<Delivery>) -> usize {
        deliveries.sort_unstable_by_key(|delivery| delivery.tag);
        let mut begun = Vec::new();
        self.begin(|settled, context| {
            let tags = deliveries.iter().map(|delivery| delivery.tag);
            let covered = settled.covered_by_one_ack(tags);
            let (run, singles) = deliveries.split_at(covered);
            let one_for_the_run = run.last().map(|last| (last, run.len()));
            let one_each = singles.iter().map(|delivery| (delivery, 1));
            for (delivery, stands_for) in one_for_the_run.into_iter().chain(one_each) {
                let mut writing = ack(delivery.acker.clone(), stands_for > 1);
                begin(&mut writing, context);
                begun.push((delivery, stands_for, writing));
            }
            // After an error the channel is gone, and so is what is known of it.
            deliveries
                .iter()
                .for_each(|delivery| settled.add(delivery.tag));
        })
        .await;

        // All are written side by side, because each waits for the socket.
        let outcomes = begun
            .into_iter()
            .map(async |(delivery, stands_for, writing)| {
                let failed = settle(writing, "ack").await.is_err();
                if !failed {
                    delivery.held.add_acked(stands_for);
                }
                (failed, stands_for)
            });
        let outcomes = join_all(outcomes).await;
        let lost = outcomes.into_iter().filter(|(failed, _)| *failed);
        lost.map(|(_, stands_for)| stands_for).sum()
    }
}

impl DeliveryChannel {
    /// Begins acks and rejects while nobody else does. It never waits.
    async fn begin(&self, mut begin: impl FnMut(&mut Settled, &mut Context<'_>)) {
        poll_fn(|context| {
            let settled = self.settled.lock();
            let mut settled = settled.unwrap_or_else(PoisonError::into_inner);
            begin(&mut settled, context);
            Poll::Ready(())
        })
        .await;
    }

    /// Begins one that settles this tag alone.
    async fn begin_one(&self, tag: u64, mut writing: Writing) -> Writing {
        self.begin(|settled, context| {
            begin(&mut writing, context);
            settled.add(tag);
        })
        .await;
        writing
    }
}

impl Drop for DeliveryChannel {
    /// The last ack may come right before the connection closes.
    fn drop(&mut self) {
        if self.channel.status().connected()
            && let Ok(runtime) = Handle::try_current()
        {
            let channel = self.channel.clone();
            let closing = async move { close_channel(&channel, "unused").await };
            self.channel_tasks.spawn_on(closing, &runtime);
        }
    }
}

impl Delivery {
    pub(crate) fn new(
        delivery: lapin::message::Delivery,
        channel: &Arc<DeliveryChannel>,
        held: HeldDelivery,
    ) -> Self {
        let (message, delivery_count) = Message::from_delivery(&delivery.properties, delivery.data);
        Self {
            message,
            redelivered: delivery.redelivered,
            delivery_count,
            held_since: Instant::now(),
            tag: delivery.delivery_tag,
            acker: delivery.acker,
            channel: channel.clone(),
            held,
        }
    }

    /// Tells the broker that the message is done.
    ///
    /// # Errors
    /// The channel is gone, so the message will be delivered again.
    pub async fn ack(self) -> Result<(), BrokerError> {
        let writing = ack(self.acker.clone(), false);
        let writing = self.channel.begin_one(self.tag, writing).await;
        settle(writing, "ack").await?;
        self.held.add_acked(1);
        Ok(())
    }

    /// Acks many deliveries, by one frame where nothing else of their channel is open below them.
    /// Returns how many of them will be delivered again.
    pub async fn ack_all(deliveries: impl IntoIterator<Item = Self>) -> usize {
        let mut by_channel: Vec<Vec<Self>> = Vec::new();
        for delivery in deliveries {
            let same = |of: &&mut Vec<Self>| Arc::ptr_eq(&of[0].channel, &delivery.channel);
            match by_channel.iter_mut().find(same) {
                Some(of) => of.push(delivery),
                None => by_channel.push(vec![delivery]),
            }
        }

        let mut lost = 0;
        for deliveries in by_channel {
            let channel = deliveries[0].channel.clone();
            lost += channel.ack(deliveries).await;
        }
        lost
    }

    /// Gives the message back at once. This counts against the delivery limit, so it is no way to
    /// say "later" (protocol B4).
    ///
    /// # Errors
    /// The channel is gone. The message will be delivered again all the same.
    pub async fn reject_to_requeue(self) -> Result<(), BrokerError> {
        let acker = self.acker.clone();
        let writing = async move { acker.reject(BasicRejectOptions { requeue: true }).await };
        let writing = self.channel.begin_one(self.tag, writing.boxed()).await;
        settle(writing, "requeue").await
    }

    /// Whether its channel is gone. Then the broker delivers the message again, and an ack of this
    /// delivery would be lost.
    #[must_use]
    pub fn is_stale(&self) -> bool {
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

fn ack(acker: Acker, multiple: bool) -> Writing {
    async move { acker.ack(BasicAckOptions { multiple }).await }.boxed()
}

/// Begins an ack or a reject. lapin puts its frame behind those before it in the first poll, and
/// waits for the socket after that.
fn begin(writing: &mut Writing, context: &mut Context<'_>) {
    if let Poll::Ready(outcome) = writing.poll_unpin(context) {
        *writing = ready(outcome).boxed();
    }
}

/// Waits for an ack or a reject to be written. The wait is bounded, because a channel that hangs
/// while it closes may never report the write.
async fn settle(
    writing: impl Future<Output = lapin::Result<bool>>,
    what: &'static str,
) -> Result<(), BrokerError> {
    if answered(what, writing).await? {
        Ok(())
    } else {
        Err(BrokerError::Stale)
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
