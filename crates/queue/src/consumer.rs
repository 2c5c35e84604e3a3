//! Consuming through every loss of channel and connection.

use crate::{
    Broker, BrokerError, Message, Target,
    link::{Live, Phase},
    pause::Pause,
};
use futures_util::{StreamExt as _, future::join_all};
use lapin::{
    Acker, Channel,
    options::{
        BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions,
        BasicRejectOptions,
    },
    types::FieldTable,
};
use std::{fmt, sync::Arc, time::Duration};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::timeout,
};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// A message on loan. Ack it when what it asks for is durable. Dropped without, it comes back once its channel closes.
pub struct Delivery {
    pub message: Message,
    /// The broker has handed it out before, to someone.
    pub redelivered: bool,
    /// How often it came back unacked. For quorum queues only; not a business retry counter (protocol B4).
    pub delivery_count: u64,
    acker: Acker,
    /// A channel closes with its last handle, and this one is still owed an ack.
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

    /// Tells the broker that the message is done with.
    ///
    /// # Errors
    /// The message will be delivered again: its channel is gone.
    pub async fn ack(self) -> Result<(), BrokerError> {
        settled(self.acker.ack(BasicAckOptions::default()), "ack").await
    }

    /// Acks many, all under way at once: one after the other, each waits for the socket. Returns how many will be delivered again.
    pub async fn ack_all(deliveries: impl IntoIterator<Item = Self>) -> usize {
        let outcomes = join_all(deliveries.into_iter().map(Self::ack)).await;
        outcomes.into_iter().filter(Result::is_err).count()
    }

    /// Hands the message back at once. It counts against the delivery limit: not a way to say "later" (protocol B4).
    ///
    /// # Errors
    /// The message will be delivered again all the same: its channel is gone.
    pub async fn reject_to_requeue(self) -> Result<(), BrokerError> {
        settled(
            self.acker.reject(BasicRejectOptions { requeue: true }),
            "requeue",
        )
        .await
    }

    fn is_stale(&self) -> bool {
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

/// Bounded: on a channel that hangs in its own closing, the write may never be told to have happened.
async fn settled(
    settling: impl Future<Output = lapin::Result<bool>>,
    what: &'static str,
) -> Result<(), BrokerError> {
    match timeout(REQUEST_TIMEOUT, settling).await {
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false)) => Err(BrokerError::Stale),
        Ok(Err(error)) => Err(BrokerError::Request {
            what,
            source: error.into(),
        }),
        Err(_) => Err(BrokerError::Timeout),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Running,
    Paused,
    Cancelled,
}

/// A subscription that is renewed for as long as it is wanted.
#[derive(Debug)]
pub struct Consumer {
    deliveries: mpsc::Receiver<Delivery>,
    mode: watch::Sender<Mode>,
    _keeps_connections: Broker,
}

impl Consumer {
    /// The next message; waits while there is none, while paused, and while the broker is away. `None` only after [`cancel`](Self::cancel)
    /// or when the broker was closed. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Delivery> {
        while *self.mode.borrow() != Mode::Cancelled {
            let delivery = self.deliveries.recv().await?;
            // What waited here while its channel died is delivered again; handling it now would be for nothing.
            if !delivery.is_stale() {
                return Some(delivery);
            }
        }
        None
    }

    /// Stops taking and gives back all that is held, here and by the caller: acks of it will fail. For a worker that cannot work
    /// (protocol B3).
    pub fn pause(&self) {
        self.turn(Mode::Running, Mode::Paused);
    }

    /// Ends a pause.
    pub fn resume(&self) {
        self.turn(Mode::Paused, Mode::Running);
    }

    /// Stops taking, for good. What the caller holds can still be acked; what waits to be handed out comes back when all of it is settled
    /// or dropped.
    pub fn cancel(&self) {
        self.mode.send_replace(Mode::Cancelled);
    }

    fn turn(&self, from: Mode, to: Mode) {
        self.mode.send_if_modified(|mode| {
            let turns = *mode == from;
            if turns {
                *mode = to;
            }
            turns
        });
    }
}

/// A consumer and the task that keeps it subscribed.
pub(crate) fn subscribe(
    broker: Broker,
    target: Target,
    prefetch: u16,
) -> (Consumer, impl Future<Output = ()>) {
    // Beside these, up to `prefetch` messages wait in lapin: the broker sends no more than that.
    let (out, deliveries) = mpsc::channel(1);
    let (mode_tx, mode) = watch::channel(Mode::Running);
    let link = broker.consuming();
    let redeclare = broker.redeclare();
    let subscription = Subscription {
        redeclare,
        queue: broker.topology().queue(target).to_owned(),
        target,
        prefetch,
        link,
        mode,
        out,
    };
    let cancelled = broker.cancelled();
    let task = async move {
        tokio::select! {
            () = cancelled.cancelled() => {}
            () = subscription.run() => {}
        }
    };
    (
        Consumer {
            deliveries,
            mode: mode_tx,
            _keeps_connections: broker,
        },
        task,
    )
}

struct Subscription {
    queue: String,
    target: Target,
    prefetch: u16,
    link: watch::Receiver<Phase>,
    mode: watch::Receiver<Mode>,
    out: mpsc::Sender<Delivery>,
    redeclare: Arc<Notify>,
}

impl Subscription {
    async fn run(mut self) {
        let mut pause = Pause::new();
        while let Some(live) = self.wanted().await {
            match self.open(&live).await {
                Ok((channel, consumer)) => {
                    let mut forward = Forward {
                        channel,
                        consumer,
                        out: &self.out,
                        mode: &mut self.mode,
                    };
                    if forward.run().await {
                        pause.reset();
                    }
                }
                Err(error) => {
                    tracing::warn!(queue = self.target.as_str(), "failed to consume: {error}");
                    if matches!(&error, BrokerError::Request { source, .. } if source.code() == Some(404))
                    {
                        self.redeclare.notify_one();
                    }
                }
            }
            tokio::time::sleep(pause.next()).await;
        }
    }

    /// Waits until there is a connection and the consumer wants to run. `None`: never again.
    async fn wanted(&mut self) -> Option<Arc<Live>> {
        loop {
            match *self
                .mode
                .wait_for(|mode| *mode != Mode::Paused)
                .await
                .ok()?
            {
                Mode::Cancelled => return None,
                Mode::Running | Mode::Paused => {}
            }
            let connected = |phase: &Phase| matches!(phase, Phase::Up(_) | Phase::Blocked(_));
            tokio::select! {
                // Look at the mode again first.
                changed = self.mode.changed() => changed.ok()?,
                phase = self.link.wait_for(connected) => {
                    if let Phase::Up(live) | Phase::Blocked(live) = &*phase.ok()? {
                        return Some(live.clone());
                    }
                }
            }
        }
    }

    async fn open(&self, live: &Live) -> Result<(Channel, lapin::Consumer), BrokerError> {
        let failed = |error: lapin::Error| BrokerError::Request {
            what: "subscribe",
            source: error.into(),
        };
        let channel = live.channel().await?;
        let subscribing = async {
            channel
                .basic_qos(self.prefetch, BasicQosOptions::default())
                .await?;
            let options = BasicConsumeOptions::default();
            channel
                .basic_consume(
                    self.queue.as_str().into(),
                    "".into(),
                    options,
                    FieldTable::default(),
                )
                .await
        };
        let consumer = timeout(REQUEST_TIMEOUT, subscribing)
            .await
            .map_err(|_| BrokerError::Timeout)?;
        Ok((channel, consumer.map_err(failed)?))
    }
}

/// One subscription, from its first delivery to its end.
struct Forward<'a> {
    channel: Channel,
    consumer: lapin::Consumer,
    out: &'a mpsc::Sender<Delivery>,
    mode: &'a mut watch::Receiver<Mode>,
}

impl Forward<'_> {
    /// Says whether anything was delivered.
    async fn run(&mut self) -> bool {
        let mut any = false;
        loop {
            let stopped = self.mode.wait_for(|mode| *mode != Mode::Running);
            let step = async {
                let slot = self.out.reserve().await.ok()?;
                // The stream ends in silence when the channel closes, so its end is as good as an error.
                let delivery = self.consumer.next().await?.ok()?;
                slot.send(Delivery::new(delivery, &self.channel));
                Some(())
            };
            let mode = tokio::select! {
                biased;
                mode = stopped => mode.map_or(Mode::Cancelled, |mode| *mode),
                delivered = step => match delivered {
                    Some(()) => {
                        any = true;
                        continue;
                    }
                    None => return any,
                }
            };
            self.stop(mode).await;
            return any;
        }
    }

    async fn stop(&self, mode: Mode) {
        let stopping = async {
            if mode == Mode::Paused {
                self.channel.close(200, "paused".into()).await
            } else {
                self.channel
                    .basic_cancel(self.consumer.tag(), BasicCancelOptions::default())
                    .await
            }
        };
        // A channel that cannot be closed in good order is gone already, and its messages with it.
        timeout(REQUEST_TIMEOUT, stopping).await.ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_ack_that_is_never_written_ends() {
        let outcome = settled(std::future::pending(), "ack").await;
        assert!(matches!(outcome, Err(BrokerError::Timeout)), "{outcome:?}");
    }
}
