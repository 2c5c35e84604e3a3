//! The task behind a consumer: it subscribes, forwards deliveries, and subscribes again after any
//! loss.

use std::sync::Arc;

use futures_util::StreamExt as _;
use lapin::Channel;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::backoff::Backoff;
use crate::closing::{close_channel, finish};
use crate::connection::{ConnectionState, OpenConnection};
use crate::delivery::DeliveryChannel;
use crate::request::{REQUEST_TIMEOUT, answered};
use crate::traffic::Traffic;
use crate::{BrokerError, Delivery, Target};

/// What a consumer's owner wants from its subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConsumerMode {
    Running,
    /// Running with a prefetch of one.
    OneByOne,
    Paused,
    Cancelled,
}

/// The mode, and the number of the change that set it. A pause may end before the subscription has
/// seen it, and must close the channel all the same: its owner has dropped what it held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) mode: ConsumerMode,
    pub(crate) change: u64,
}

pub(crate) struct Forwarded {
    pub(crate) delivery: Delivery,
    /// The change its channel was opened after. The next change closes that channel.
    pub(crate) change: u64,
}

pub(crate) struct Subscription {
    pub(crate) queue: String,
    pub(crate) target: Target,
    pub(crate) prefetch: u16,
    pub(crate) connection: watch::Receiver<ConnectionState>,
    pub(crate) wanted: watch::Receiver<Wanted>,
    pub(crate) deliveries: mpsc::Sender<Forwarded>,
    pub(crate) traffic: Arc<Traffic>,
    /// Asks for the topology to be declared again.
    pub(crate) redeclare: Arc<Notify>,
    /// Fires when the broker is closed.
    pub(crate) cancel: CancellationToken,
    pub(crate) channel_tasks: TaskTracker,
}

impl Subscription {
    /// Subscribes again and again until the consumer is cancelled or dropped, or the broker is
    /// closed.
    pub(crate) async fn run(mut self) {
        let mut backoff = Backoff::new();
        let cancel = self.cancel.clone();
        while let Some(Some((connection, opened_in))) =
            cancel.run_until_cancelled(self.wait_until_wanted()).await
        {
            match finish(&cancel, self.open(&connection, opened_in.mode)).await {
                None => return,
                Some(Ok((channel, consumer))) => {
                    let mut open = OpenSubscription {
                        channel: DeliveryChannel::new(channel, self.channel_tasks.clone()),
                        consumer,
                        opened_in,
                        deliveries: &self.deliveries,
                        traffic: &self.traffic,
                        target: self.target,
                        wanted: &mut self.wanted,
                    };
                    let forwarding = cancel.run_until_cancelled(open.forward_deliveries());
                    match forwarding.await {
                        None => {
                            close_channel(&open.channel.channel, "closing").await;
                            return;
                        }
                        Some(0) => {}
                        Some(_) => backoff.reset(),
                    }
                }
                Some(Err(error)) => {
                    tracing::warn!(queue = self.target.as_str(), "failed to consume: {error}");
                    if matches!(&error, BrokerError::Request { source, .. } if source.code() == Some(404))
                    {
                        self.redeclare.notify_one();
                    }
                }
            }
            let pause = tokio::time::sleep(backoff.next_delay());
            cancel.run_until_cancelled(pause).await;
        }
    }

    /// Waits until there is a connection and the consumer is running, and returns in which mode.
    /// `None` means that it is cancelled.
    async fn wait_until_wanted(&mut self) -> Option<(Arc<OpenConnection>, Wanted)> {
        loop {
            let wanted = *self
                .wanted
                .wait_for(|wanted| wanted.mode != ConsumerMode::Paused)
                .await
                .ok()?;
            if wanted.mode == ConsumerMode::Cancelled {
                return None;
            }
            let connected = |state: &ConnectionState| {
                matches!(state, ConnectionState::Up(_) | ConnectionState::Blocked(_))
            };
            tokio::select! {
                // The new mode is looked at first, at the head of the loop.
                changed = self.wanted.changed() => changed.ok()?,
                state = self.connection.wait_for(connected) => {
                    if let ConnectionState::Up(open) | ConnectionState::Blocked(open) = &*state.ok()? {
                        return Some((open.clone(), wanted));
                    }
                }
            }
        }
    }

    async fn open(
        &self,
        connection: &OpenConnection,
        mode: ConsumerMode,
    ) -> Result<(Channel, lapin::Consumer), BrokerError> {
        let prefetch = match mode {
            ConsumerMode::OneByOne => 1,
            _ => self.prefetch,
        };
        let channel = connection.channel().await?;
        let subscribing = async {
            channel
                .basic_qos(prefetch, BasicQosOptions::default())
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
        let consumer = answered("subscribe", subscribing).await?;
        Ok((channel, consumer))
    }
}

/// One subscription on one channel, from its first delivery to its end.
struct OpenSubscription<'a> {
    channel: Arc<DeliveryChannel>,
    consumer: lapin::Consumer,
    opened_in: Wanted,
    deliveries: &'a mpsc::Sender<Forwarded>,
    traffic: &'a Arc<Traffic>,
    target: Target,
    wanted: &'a mut watch::Receiver<Wanted>,
}

impl OpenSubscription<'_> {
    /// Forwards deliveries until the channel closes or the mode changes. Returns how many it
    /// forwarded.
    async fn forward_deliveries(&mut self) -> u64 {
        let mut forwarded = 0;
        loop {
            let stopped = self.wanted.wait_for(|wanted| *wanted != self.opened_in);
            let forward_one = async {
                let slot = self.deliveries.reserve().await.ok()?;
                // The stream ends without an error when the channel closes, so its end counts as
                // one.
                let delivery = self.consumer.next().await?.ok()?;
                let held = self.traffic.hold(self.target);
                slot.send(Forwarded {
                    delivery: Delivery::new(delivery, &self.channel, held),
                    change: self.opened_in.change,
                });
                Some(())
            };
            let mode = tokio::select! {
                biased;
                wanted = stopped => wanted.map_or(ConsumerMode::Cancelled, |wanted| wanted.mode),
                delivered = forward_one => match delivered {
                    Some(()) => {
                        forwarded += 1;
                        continue;
                    }
                    None => return forwarded,
                }
            };
            self.stop(mode).await;
            return forwarded;
        }
    }

    async fn stop(&self, mode: ConsumerMode) {
        let stopping = async {
            let channel = &self.channel.channel;
            if mode == ConsumerMode::Cancelled {
                let tag = self.consumer.tag();
                channel
                    .basic_cancel(tag, BasicCancelOptions::default())
                    .await
            } else {
                channel.close(200, "paused".into()).await
            }
        };
        // A channel that cannot be closed in good order is already gone, and its messages with it.
        timeout(REQUEST_TIMEOUT, stopping).await.ok();
    }
}
