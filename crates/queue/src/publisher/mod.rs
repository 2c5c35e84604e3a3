//! A publisher whose success means that a quorum queue has the message.
//!
//! One task owns each channel, so that publishes start in order and a confirm belongs to the publish
//! it was sent for.

mod channel_task;
mod load;
mod window;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use lapin::BasicProperties;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connection::ConnectionState;
use crate::{Broker, Message, PublishError, Target, Topology};
use channel_task::ChannelTask;
use load::{ChannelLoad, LoadShare};

pub use load::PublishLoad;
pub(crate) use load::TotalLoad;

/// Channels of one publisher. A return fails the whole window of its channel.
const CHANNELS: usize = 4;
/// Publishes of one channel that are sent and not confirmed. More wait for a place.
const WINDOW: usize = 64;
/// Bytes of bodies that all publishers of a broker have under way. lapin copies each body into its
/// own queue of frames, so a broker that reads nothing costs twice this.
const BYTES_MAX: usize = 32 * 1024 * 1024;

/// The most publishes that all publishers of a broker have under way, sent ones and waiting ones.
/// More are refused at once.
pub const PUBLISHES_MAX: usize = 4_096;

impl TotalLoad {
    /// Counts what the publishers of one broker have under way.
    pub(crate) fn of_broker() -> Arc<Self> {
        Arc::new(Self::new(PUBLISHES_MAX, BYTES_MAX))
    }
}

/// Publishes to the broker. It is cheap to clone.
#[derive(Clone)]
pub struct Publisher {
    channels: Arc<PublishChannels>,
    /// Keeps the connections.
    broker: Broker,
}

/// One publish on its way to the task that owns its channel.
struct PublishRequest {
    target: Target,
    properties: BasicProperties,
    body: Bytes,
    /// When the caller asked for it.
    requested_at: Instant,
    reply: oneshot::Sender<Result<(), PublishError>>,
    share: LoadShare,
}

/// The channels of one publisher. Their tasks end with it.
pub(crate) struct PublishChannels {
    connection: watch::Receiver<ConnectionState>,
    requests: Vec<mpsc::Sender<PublishRequest>>,
    loads: Vec<Arc<ChannelLoad>>,
    total: Arc<TotalLoad>,
    next: AtomicUsize,
}

impl Publisher {
    pub(crate) fn new(channels: Arc<PublishChannels>, broker: Broker) -> Self {
        Self { channels, broker }
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
        let confirmed = self.begin(target, message)?;
        match timeout_at(deadline, confirmed).await {
            Ok(Ok(outcome)) => {
                if outcome.is_ok() {
                    self.broker.traffic().add_published(target);
                }
                outcome
            }
            // The task answers every request, unless the broker was closed.
            Ok(Err(_)) => Err(PublishError::Down),
            Err(_) => Err(PublishError::Timeout),
        }
    }

    /// Hands a message to a channel and returns the receiver of the outcome. A dropped receiver
    /// cancels nothing.
    ///
    /// # Errors
    /// Nothing was sent: the connection is down or blocked, too many publishes are under way, or the
    /// headers are too large.
    pub fn begin(
        &self,
        target: Target,
        message: Message,
    ) -> Result<oneshot::Receiver<Result<(), PublishError>>, PublishError> {
        let properties = message.properties()?;
        self.channels.check_connection()?;

        let channel = self.channels.next();
        let load = &self.channels.loads[channel];
        let share = load
            .try_add(message.body.len())
            .ok_or(PublishError::TooBusy)?;
        let (reply, confirmed) = oneshot::channel();
        let request = PublishRequest {
            target,
            properties,
            body: message.body,
            requested_at: Instant::now(),
            reply,
            share,
        };
        // There is a place for each share. A closed task has no runtime any more.
        self.channels.requests[channel]
            .try_send(request)
            .map_err(|_| PublishError::Down)?;
        Ok(confirmed)
    }

    /// Returns how much all publishers of the broker have under way, and for how long the oldest of
    /// it.
    #[must_use]
    pub fn load(&self) -> PublishLoad {
        self.channels.total.read()
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher")
            .field("load", &self.load())
            .finish_non_exhaustive()
    }
}

impl PublishChannels {
    /// Starts the tasks on the runtime of the caller. They end with the last handle, or when
    /// `cancel` fires.
    pub(crate) fn start(
        topology: &Topology,
        connection: &watch::Receiver<ConnectionState>,
        redeclare: &Arc<Notify>,
        cancel: &CancellationToken,
        tasks: &TaskTracker,
        total: &Arc<TotalLoad>,
    ) -> Self {
        let loads: Vec<_> = (0..CHANNELS).map(|_| total.channel()).collect();
        let requests = loads.iter().map(|load| {
            let (requests, received) = mpsc::channel(PUBLISHES_MAX);
            let task = ChannelTask {
                topology: topology.clone(),
                connection: connection.clone(),
                redeclare: redeclare.clone(),
                cancel: cancel.clone(),
                requests: received,
                load: load.clone(),
            };
            tasks.spawn(task.run());
            requests
        });
        Self {
            connection: connection.clone(),
            requests: requests.collect(),
            loads,
            total: total.clone(),
            next: AtomicUsize::new(0),
        }
    }

    fn next(&self) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed) % CHANNELS
    }

    fn check_connection(&self) -> Result<(), PublishError> {
        match &*self.connection.borrow() {
            ConnectionState::Up(_) => Ok(()),
            ConnectionState::Blocked(_) => Err(PublishError::Blocked),
            ConnectionState::Unused | ConnectionState::Down(_) => Err(PublishError::Down),
        }
    }
}
