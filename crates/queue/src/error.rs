use std::fmt;

/// What lapin said, kept opaque: no other crate decides on it.
#[derive(Clone)]
pub struct Fault(pub(crate) lapin::Error);

impl Fault {
    /// The AMQP reply code, where the broker answered with one: 404 not found, 406 precondition failed.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        match self.0.kind() {
            lapin::ErrorKind::ProtocolError(error) => Some(error.get_id()),
            _ => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fault({})", self.0)
    }
}

impl std::error::Error for Fault {}

impl From<lapin::Error> for Fault {
    fn from(error: lapin::Error) -> Self {
        Self(error)
    }
}

/// The broker's URL cannot be used. Never shows the URL, which holds a password.
#[derive(Clone, Debug, thiserror::Error)]
#[error("broker url: {0}")]
pub struct StartError(pub(crate) String);

/// A message may not be stored. All but [`Oversized`](Self::Oversized) may succeed later; after a [`Timeout`](Self::Timeout) or a
/// [`Broker`](Self::Broker) error the message may be stored all the same.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PublishError {
    /// Nothing was sent: the connection is known to be down.
    #[error("broker is not connected")]
    Down,
    /// Nothing was sent: the broker has raised an alarm (memory or disk) and takes no publishes.
    #[error("broker takes no publishes at the moment")]
    Blocked,
    /// No confirm in time.
    #[error("no confirm in time")]
    Timeout,
    /// No queue took the message: the topology has been tampered with. It is being declared again.
    #[error("returned: no queue for {0}")]
    Returned(&'static str),
    /// The queue refused the message: it is full, or lost its quorum.
    #[error("refused by the queue")]
    Nack,
    /// Nothing was sent: too many publishes are under way.
    #[error("too many publishes under way")]
    TooBusy,
    /// Nothing was sent, and never will be: names or values of the headers are too long.
    #[error("headers too large")]
    Oversized,
    /// The channel or the connection failed before the confirm came.
    #[error("failed before the confirm")]
    Broker(#[source] Fault),
}

/// A request to the broker other than a publish failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BrokerError {
    #[error("broker is not connected")]
    Down,
    #[error("no answer from the broker in time")]
    Timeout,
    /// The channel this was delivered on is gone; the broker delivers the message again.
    #[error("delivery is stale")]
    Stale,
    /// With 406: the queue exists with other arguments, which needs a new name (protocol B1).
    #[error("failed to declare {what}: {source}")]
    Declare { what: String, source: Fault },
    #[error("failed to {what}: {source}")]
    Request { what: &'static str, source: Fault },
}
