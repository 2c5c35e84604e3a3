//! Publishing so that success means: a quorum queue has the message.

use crate::{
    Broker, Message, PublishError, Target, Topology,
    error::Fault,
    link::{Live, Phase},
};
use bytes::Bytes;
use lapin::{
    BasicProperties, Channel, Confirmation,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, timeout, timeout_at},
};

/// Publishes under way at once, each on a channel of its own.
///
/// Of its own, because lapin gives a returned message to whichever confirm arrives next on the channel: with two publishes on one
/// channel the routed one could be told of the return and the lost one be told "stored".
pub const IN_FLIGHT_MAX: usize = 128;
/// Publishes that wait for one of those channels; more are refused at once.
pub const WAITING_MAX: usize = 4_096;
/// When a publish whose caller has given up gives back its channel.
const GIVE_UP: Duration = Duration::from_secs(60);

/// Publishes to the broker. Cheap to clone.
#[derive(Clone)]
pub struct Publisher {
    pool: Arc<Pool>,
    _keeps_connections: Broker,
}

impl Publisher {
    pub(crate) fn new(pool: Arc<Pool>, broker: Broker) -> Self {
        Self {
            pool,
            _keeps_connections: broker,
        }
    }

    /// Publishes and waits for the confirm of the queue. The publish goes on in the background when the caller gives up waiting or is
    /// dropped.
    ///
    /// # Errors
    /// The message may not be stored; see [`PublishError`]. Comes within `timeout`, and at once when the connection is known to be down
    /// or blocked.
    pub async fn publish(
        &self,
        target: Target,
        message: Message,
        timeout: Duration,
    ) -> Result<(), PublishError> {
        let deadline = Instant::now() + timeout;
        let properties = message.properties()?;
        self.pool.live()?;
        let slot = self.pool.slot(deadline).await?;
        // Looked up again: the wait for a slot may have outlived the connection.
        let live = self.pool.live()?;
        let publish = Publish {
            target,
            properties,
            body: message.body,
        };
        let sending = tokio::spawn(self.pool.clone().send(live, publish, slot));
        match timeout_at(deadline, sending).await {
            Ok(Ok(outcome)) => outcome,
            // The task never panics by itself; it is aborted when the runtime ends.
            Ok(Err(_)) => Err(PublishError::Down),
            Err(_) => Err(PublishError::Timeout),
        }
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let free = self.pool.slots.available_permits();
        f.debug_struct("Publisher")
            .field("in_flight", &(IN_FLIGHT_MAX - free))
            .finish_non_exhaustive()
    }
}

struct Publish {
    target: Target,
    properties: BasicProperties,
    body: Bytes,
}

/// The channels of the publishing connection.
pub(crate) struct Pool {
    topology: Topology,
    link: watch::Receiver<Phase>,
    redeclare: Arc<Notify>,
    slots: Arc<Semaphore>,
    waiting: Semaphore,
    idle: Mutex<Idle>,
}

/// Channels that wait for work, all of one connection.
#[derive(Default)]
struct Idle {
    of: Option<Arc<Live>>,
    channels: Vec<Channel>,
}

impl Pool {
    pub(crate) fn new(
        topology: Topology,
        link: watch::Receiver<Phase>,
        redeclare: Arc<Notify>,
    ) -> Self {
        Self {
            topology,
            link,
            redeclare,
            slots: Arc::new(Semaphore::new(IN_FLIGHT_MAX)),
            waiting: Semaphore::new(WAITING_MAX),
            idle: Mutex::default(),
        }
    }

    fn live(&self) -> Result<Arc<Live>, PublishError> {
        match &*self.link.borrow() {
            Phase::Up(live) => Ok(live.clone()),
            Phase::Blocked(_) => Err(PublishError::Blocked),
            Phase::Idle | Phase::Down(_) => Err(PublishError::Down),
        }
    }

    async fn slot(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, PublishError> {
        let _waiting = self
            .waiting
            .try_acquire()
            .map_err(|_| PublishError::TooBusy)?;
        let slot = timeout_at(deadline, self.slots.clone().acquire_owned()).await;
        // The semaphore is never closed.
        slot.ok().and_then(Result::ok).ok_or(PublishError::TooBusy)
    }

    /// Holds its slot until the broker has answered, so that the bound is true of a broker that does not answer, too.
    async fn send(
        self: Arc<Self>,
        live: Arc<Live>,
        publish: Publish,
        _slot: OwnedSemaphorePermit,
    ) -> Result<(), PublishError> {
        let target = publish.target;
        let sending = timeout(GIVE_UP, self.send_on_channel(&live, publish)).await;
        let outcome = sending.unwrap_or(Err(PublishError::Timeout));
        let lost_topology = match &outcome {
            Err(PublishError::Returned(_)) => true,
            Err(PublishError::Broker(fault)) => fault.code() == Some(404),
            _ => false,
        };
        if lost_topology {
            tracing::error!(
                target = target.as_str(),
                "no queue took a message: asking for the topology again"
            );
            self.redeclare.notify_one();
        }
        outcome
    }

    async fn send_on_channel(
        &self,
        live: &Arc<Live>,
        publish: Publish,
    ) -> Result<(), PublishError> {
        let broker = |error: lapin::Error| PublishError::Broker(Fault(error));
        let channel = match self.take(live) {
            Some(channel) => channel,
            None => open(live).await?,
        };
        let confirm = channel
            .basic_publish(
                self.topology.exchange(publish.target).into(),
                publish.target.as_str().into(),
                BasicPublishOptions {
                    mandatory: true,
                    immediate: false,
                },
                &publish.body,
                publish.properties,
            )
            .await
            .map_err(broker)?;
        let outcome = match confirm.await.map_err(broker)? {
            Confirmation::Ack(None) => Ok(()),
            Confirmation::Ack(Some(_)) => Err(PublishError::Returned(publish.target.as_str())),
            Confirmation::Nack(_) => Err(PublishError::Nack),
            // Every channel of the pool is in confirm mode; an answer that confirms nothing must not count as one.
            Confirmation::NotRequested => return Err(PublishError::Timeout),
        };
        self.give_back(live, channel);
        outcome
    }

    fn take(&self, live: &Arc<Live>) -> Option<Channel> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.keep_only(live);
        loop {
            let channel = idle.channels.pop()?;
            if channel.status().connected() {
                return Some(channel);
            }
        }
    }

    fn give_back(&self, live: &Arc<Live>, channel: Channel) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.of.as_ref().is_some_and(|of| Arc::ptr_eq(of, live)) {
            idle.channels.push(channel);
        }
    }
}

impl Idle {
    fn keep_only(&mut self, live: &Arc<Live>) {
        if !self.of.as_ref().is_some_and(|of| Arc::ptr_eq(of, live)) {
            *self = Self {
                of: Some(live.clone()),
                channels: Vec::new(),
            };
        }
    }
}

async fn open(live: &Live) -> Result<Channel, PublishError> {
    let opened = live.channel().await.map_err(|error| match error {
        crate::BrokerError::Request { source, .. } => PublishError::Broker(source),
        _ => PublishError::Timeout,
    })?;
    let confirming = opened.confirm_select(ConfirmSelectOptions::default()).await;
    confirming.map_err(|e| PublishError::Broker(Fault(e)))?;
    Ok(opened)
}
