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
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::connection::ConnectionState;
use crate::{Broker, Message, PublishError, Target, Topology};
use channel_task::ChannelTask;
use load::ChannelLoad;

pub use load::PublishLoad;

/// Channels over which all messages are published. A return fails the whole window of its channel.
const CHANNELS: usize = 8;
/// Publishes of one channel that are sent and not confirmed.
const WINDOW: usize = 64;
/// Publishes that wait for a place in the window of one channel. More are refused at once.
const WAITING: usize = 448;
/// Bytes of bodies of one channel, sent and not confirmed or waiting. lapin copies each body into its
/// own queue of frames, so a broker that reads nothing costs twice this for each channel.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// The most publishes that a publisher takes on at once, sent ones and waiting ones.
pub const PUBLISHES_MAX: usize = CHANNELS * (WINDOW + WAITING);

/// Publishes to the broker. It is cheap to clone.
#[derive(Clone)]
pub struct Publisher {
    channels: Arc<PublishChannels>,
    _keeps_connections: Broker,
}

/// One publish on its way to the task that owns its channel.
struct PublishRequest {
    target: Target,
    properties: BasicProperties,
    body: Bytes,
    /// When the caller asked for it.
    requested_at: Instant,
    reply: oneshot::Sender<Result<(), PublishError>>,
}

/// The publishing side of a broker. Its tasks end with it.
pub(crate) struct PublishChannels {
    connection: watch::Receiver<ConnectionState>,
    senders: Vec<Sender>,
    next: AtomicUsize,
}

struct Sender {
    requests: mpsc::Sender<PublishRequest>,
    load: Arc<ChannelLoad>,
}

impl Publisher {
    pub(crate) fn new(channels: Arc<PublishChannels>, broker: Broker) -> Self {
        Self {
            channels,
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
        let confirmed = self.begin(target, message)?;
        match timeout_at(deadline, confirmed).await {
            Ok(Ok(outcome)) => outcome,
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
        let (reply, confirmed) = oneshot::channel();
        self.channels.send(PublishRequest {
            target,
            properties,
            body: message.body,
            requested_at: Instant::now(),
            reply,
        })?;
        Ok(confirmed)
    }

    /// Returns how much is under way, and for how long the oldest of it.
    #[must_use]
    pub fn load(&self) -> PublishLoad {
        PublishLoad::of(self.channels.senders.iter().map(|sender| &*sender.load))
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
    /// Starts the tasks. They end with the last handle, or when `cancel` fires.
    pub(crate) fn start(
        topology: &Topology,
        connection: &watch::Receiver<ConnectionState>,
        redeclare: &Arc<Notify>,
        cancel: &CancellationToken,
    ) -> Self {
        let senders = (0..CHANNELS).map(|_| {
            let (requests, received) = mpsc::channel(WAITING);
            let load = Arc::new(ChannelLoad::default());
            let task = ChannelTask {
                topology: topology.clone(),
                connection: connection.clone(),
                redeclare: redeclare.clone(),
                cancel: cancel.clone(),
                requests: received,
                load: load.clone(),
            };
            tokio::spawn(task.run());
            Sender { requests, load }
        });
        Self {
            connection: connection.clone(),
            senders: senders.collect(),
            next: AtomicUsize::new(0),
        }
    }

    fn check_connection(&self) -> Result<(), PublishError> {
        match &*self.connection.borrow() {
            ConnectionState::Up(_) => Ok(()),
            ConnectionState::Blocked(_) => Err(PublishError::Blocked),
            ConnectionState::Unused | ConnectionState::Down(_) => Err(PublishError::Down),
        }
    }

    /// Gives the request to the next channel in turn that has a place for it.
    fn send(&self, mut request: PublishRequest) -> Result<(), PublishError> {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        for offset in 0..self.senders.len() {
            let sender = &self.senders[(first + offset) % self.senders.len()];
            let bytes = request.body.len();
            if !sender.load.try_add(bytes, BYTES_MAX) {
                continue;
            }
            match sender.requests.try_send(request) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(refused) | TrySendError::Closed(refused)) => {
                    sender.load.remove(bytes);
                    request = refused;
                }
            }
        }
        Err(PublishError::TooBusy)
    }
}
