//! A publisher whose success means that a quorum queue has the message.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, timeout, timeout_at};

use crate::connection::{ConnectionState, OpenConnection};
use crate::{AmqpError, Broker, BrokerError, Message, PublishError, Target, Topology};

/// Publishes under way at once, each on a channel of its own.
///
/// lapin gives a returned message to whichever confirm arrives next on the channel. With two
/// publishes on one channel, the stored message could get the return, and the lost one the confirm.
pub const IN_FLIGHT_MAX: usize = 128;
/// Publishes that wait for one of those channels. More are refused at once.
pub const WAITING_MAX: usize = 4_096;
/// How long a publish may keep its channel when the broker does not answer. Its caller has given up
/// long before.
const CHANNEL_HELD_MAX: Duration = Duration::from_secs(60);

/// Publishes to the broker. It is cheap to clone.
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

    /// Publishes a message and waits for the queue's confirm. The publish goes on in the background
    /// when the caller stops waiting or is dropped.
    ///
    /// # Errors
    /// The message may not be stored, see [`PublishError`]. The error comes within `timeout`, and
    /// at once when the connection is known to be down or blocked.
    pub async fn publish(
        &self,
        target: Target,
        message: Message,
        timeout: Duration,
    ) -> Result<(), PublishError> {
        let deadline = Instant::now() + timeout;
        let properties = message.properties()?;
        self.pool.open_connection()?;
        let slot = self.pool.slot(deadline).await?;
        // Asked again, because the connection may have been lost during the wait for a slot.
        let connection = self.pool.open_connection()?;
        let publish = Publish {
            target,
            properties,
            body: message.body,
        };
        let sending = tokio::spawn(self.pool.clone().send(connection, publish, slot));
        match timeout_at(deadline, sending).await {
            Ok(Ok(outcome)) => outcome,
            // The task never panics. It is aborted only when the runtime ends.
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
    connection: watch::Receiver<ConnectionState>,
    redeclare: Arc<Notify>,
    slots: Arc<Semaphore>,
    waiting: Semaphore,
    idle: Mutex<Idle>,
}

/// Channels without a publish, all of one connection.
#[derive(Default)]
struct Idle {
    connection: Option<Arc<OpenConnection>>,
    channels: Vec<Channel>,
}

impl Pool {
    pub(crate) fn new(
        topology: Topology,
        connection: watch::Receiver<ConnectionState>,
        redeclare: Arc<Notify>,
    ) -> Self {
        Self {
            topology,
            connection,
            redeclare,
            slots: Arc::new(Semaphore::new(IN_FLIGHT_MAX)),
            waiting: Semaphore::new(WAITING_MAX),
            idle: Mutex::default(),
        }
    }

    fn open_connection(&self) -> Result<Arc<OpenConnection>, PublishError> {
        match &*self.connection.borrow() {
            ConnectionState::Up(open) => Ok(open.clone()),
            ConnectionState::Blocked(_) => Err(PublishError::Blocked),
            ConnectionState::Unused | ConnectionState::Down(_) => Err(PublishError::Down),
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

    /// Holds its slot until the broker has answered. So the bound also holds for a broker that does
    /// not answer.
    async fn send(
        self: Arc<Self>,
        connection: Arc<OpenConnection>,
        publish: Publish,
        _slot: OwnedSemaphorePermit,
    ) -> Result<(), PublishError> {
        let target = publish.target;
        let sending = timeout(CHANNEL_HELD_MAX, self.send_on_channel(&connection, publish)).await;
        let outcome = sending.unwrap_or(Err(PublishError::Timeout));
        let lost_topology = match &outcome {
            Err(PublishError::Returned(_)) => true,
            Err(PublishError::Broker(error)) => error.code() == Some(404),
            _ => false,
        };
        if lost_topology {
            tracing::error!(
                target = target.as_str(),
                "no queue took a message, declaring the topology again"
            );
            self.redeclare.notify_one();
        }
        outcome
    }

    async fn send_on_channel(
        &self,
        connection: &Arc<OpenConnection>,
        publish: Publish,
    ) -> Result<(), PublishError> {
        let failed = |error: lapin::Error| PublishError::Broker(AmqpError(error));
        let channel = match self.take(connection) {
            Some(channel) => channel,
            None => open_channel(connection).await?,
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
            .map_err(failed)?;

        let outcome = match confirm.await.map_err(failed)? {
            Confirmation::Ack(None) => Ok(()),
            Confirmation::Ack(Some(_)) => Err(PublishError::Returned(publish.target.as_str())),
            Confirmation::Nack(_) => Err(PublishError::Nack),
            // Every channel of the pool is in confirm mode. An answer that confirms nothing is no
            // confirm.
            Confirmation::NotRequested => return Err(PublishError::Timeout),
        };
        self.give_back(connection, channel);
        outcome
    }

    fn take(&self, connection: &Arc<OpenConnection>) -> Option<Channel> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.keep_only(connection);
        loop {
            let channel = idle.channels.pop()?;
            if channel.status().connected() {
                return Some(channel);
            }
        }
    }

    fn give_back(&self, connection: &Arc<OpenConnection>, channel: Channel) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.is_of(connection) {
            idle.channels.push(channel);
        }
    }
}

impl Idle {
    fn is_of(&self, connection: &Arc<OpenConnection>) -> bool {
        self.connection
            .as_ref()
            .is_some_and(|own| Arc::ptr_eq(own, connection))
    }

    /// Drops the channels of an earlier connection.
    fn keep_only(&mut self, connection: &Arc<OpenConnection>) {
        if !self.is_of(connection) {
            *self = Self {
                connection: Some(connection.clone()),
                channels: Vec::new(),
            };
        }
    }
}

async fn open_channel(connection: &OpenConnection) -> Result<Channel, PublishError> {
    let opened = connection.channel().await.map_err(|error| match error {
        BrokerError::Request { source, .. } => PublishError::Broker(source),
        _ => PublishError::Timeout,
    })?;
    let confirming = opened.confirm_select(ConfirmSelectOptions::default()).await;
    confirming.map_err(|e| PublishError::Broker(AmqpError(e)))?;
    Ok(opened)
}
