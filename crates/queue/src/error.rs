use std::fmt;

use crate::topology::BadNamespace;

/// lapin's error. It is opaque, so that no other crate decides on what it contains.
#[derive(Clone)]
pub struct AmqpError(pub(crate) lapin::Error);

impl AmqpError {
    /// Returns the AMQP reply code, when the broker answered with one. 404 is not found, and 406 is
    /// precondition failed.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        match self.0.kind() {
            lapin::ErrorKind::ProtocolError(error) => Some(error.get_id()),
            _ => None,
        }
    }
}

impl fmt::Display for AmqpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for AmqpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AmqpError({})", self.0)
    }
}

impl std::error::Error for AmqpError {}

impl From<lapin::Error> for AmqpError {
    fn from(error: lapin::Error) -> Self {
        Self(error)
    }
}

/// A setting of the broker cannot be used. The error never shows the URL, which holds a password.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StartError {
    #[error("broker url: {0}")]
    Url(String),
    #[error(transparent)]
    Namespace(#[from] BadNamespace),
}

impl StartError {
    /// Names the argument that cannot be used, as the programs' command lines call it.
    #[must_use]
    pub fn argument(&self) -> &'static str {
        match self {
            Self::Url(_) => "amqp_url",
            Self::Namespace(_) => "namespace",
        }
    }
}

/// The message may not be stored. A later try may succeed after every error but
/// [`Oversized`](Self::Oversized). After a [`Timeout`](Self::Timeout), a [`Returned`](Self::Returned), a
/// [`Broker`](Self::Broker) or a [`Lost`](Self::Lost) error the message may be stored all the same.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PublishError {
    /// Nothing was sent, because the connection is known to be down.
    #[error("broker is not connected")]
    Down,
    /// Nothing was sent, because the broker has a memory or disk alarm and takes no publishes.
    #[error("broker takes no publishes at the moment")]
    Blocked,
    /// No confirm came in time.
    #[error("no confirm in time")]
    Timeout,
    /// No queue took the message, because somebody changed the topology. It is being declared
    /// again.
    #[error("returned: no queue for {0}")]
    Returned(&'static str),
    /// The queue refused the message. It is full, or lost its quorum.
    #[error("refused by the queue")]
    Nack,
    /// Nothing was sent, because too many publishes are under way.
    #[error("too many publishes under way")]
    TooBusy,
    /// Nothing was sent, and never will be: names or values of the headers are too long.
    #[error("headers too large")]
    Oversized,
    /// The channel or the connection failed before the confirm came.
    #[error("failed before the confirm")]
    Broker(#[source] AmqpError),
    /// The channel was given up before the confirm came, because another publish of it failed.
    #[error("channel lost before the confirm")]
    Lost,
}

/// A request to the broker other than a publish failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BrokerError {
    #[error("broker is not connected")]
    Down,
    #[error("no answer from the broker in time")]
    Timeout,
    /// The channel of this delivery is gone. The broker delivers the message again.
    #[error("delivery is stale")]
    Stale,
    #[error("there is no queue {0}")]
    NoSuchQueue(String),
    /// With code 406, the queue exists with other arguments, which needs a new name (protocol B1).
    #[error("failed to declare {what}: {source}")]
    Declare { what: String, source: AmqpError },
    #[error("failed to {what}: {source}")]
    Request {
        what: &'static str,
        source: AmqpError,
    },
}
