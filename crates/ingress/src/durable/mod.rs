//! Makes a webhook durable: a quorum queue confirms it, or the spool fsyncs it (protocol A1).

mod policy;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use risiti_providers::Envelope;
use risiti_queue::{Message, PublishError, Publisher, Target};
use risiti_spool::{Spool, SpoolError};
use tokio::time::Instant;

use crate::dedup::{Failure, StoredIn};
use crate::metrics::Metrics;
use crate::spool::message;
use policy::{Order, Pressure, first_success};

/// The head start of the place that is tried first. A publish or a commit that takes longer is slow.
const HEAD_START: Duration = Duration::from_millis(250);

/// The two places where a webhook can be durable.
#[derive(Clone)]
pub(crate) struct DurableStore {
    publisher: Publisher,
    /// The longest wait for a confirm where there is no spool.
    publish_timeout: Duration,
    /// Publishes under way from which on the broker counts as slow.
    in_flight_max: usize,
    /// `None` when the operator turned the spool off. What the broker cannot confirm is refused.
    spool: Option<Spool>,
    metrics: Metrics,
}

impl DurableStore {
    pub(crate) fn new(
        publisher: Publisher,
        publish_timeout: Duration,
        in_flight_max: usize,
        spool: Option<Spool>,
        metrics: Metrics,
    ) -> Self {
        Self {
            publisher,
            publish_timeout,
            in_flight_max,
            spool,
            metrics,
        }
    }

    /// The same store for a thread that has its own publisher.
    pub(crate) fn with_publisher(&self, publisher: Publisher) -> Self {
        Self {
            publisher,
            ..self.clone()
        }
    }

    /// Returns when the broker has confirmed the message or the spool has it on disk, by `deadline`
    /// at the latest. The body is the provider's bytes, untouched.
    ///
    /// Queue and spool get the same event id, so a message that is in both makes no second event.
    pub(crate) fn keep(
        self: &Arc<Self>,
        envelope: &Envelope,
        body: Bytes,
        deadline: Instant,
    ) -> impl Future<Output = Result<StoredIn, Failure>> + Send + 'static {
        let message = Message {
            id: envelope.event_id.uuid(),
            headers: envelope.to_headers(),
            body,
        };
        let store = Arc::clone(self);

        async move {
            let Some(spool) = &store.spool else {
                return store.publish(message, store.publish_timeout).await;
            };
            // The broker never takes headers of this size, so the spool would hold them for ever.
            if message.check_headers().is_err() {
                return Err(failure(&PublishError::Oversized));
            }

            let time_left = deadline.saturating_duration_since(Instant::now());
            let queue = store.publish(message.clone(), time_left);
            let disk = append(spool, &message);
            let head_start = HEAD_START.min(store.publish_timeout);
            match store.pressure(spool).order() {
                Order::QueueFirst => first_success(queue, disk, head_start, deadline).await,
                Order::SpoolFirst => first_success(disk, queue, head_start, deadline).await,
                Order::BothAtOnce => first_success(queue, disk, Duration::ZERO, deadline).await,
            }
        }
    }

    fn pressure(&self, spool: &Spool) -> Pressure {
        let load = self.publisher.load();
        Pressure {
            broker_is_slow: load.oldest >= HEAD_START || load.in_flight >= self.in_flight_max,
            spool_is_slow: spool.waits_for_disk() >= HEAD_START,
        }
    }

    async fn publish(&self, message: Message, wait: Duration) -> Result<StoredIn, Failure> {
        let _observed = self.metrics.time_publish();
        match self
            .publisher
            .publish(Target::Payments, message, wait)
            .await
        {
            Ok(()) => Ok(StoredIn::Queue),
            Err(error) => Err(failure(&error)),
        }
    }
}

async fn append(spool: &Spool, message: &Message) -> Result<StoredIn, Failure> {
    match spool.append(message::encode(message)).await {
        Ok(()) => Ok(StoredIn::Spool),
        Err(SpoolError::Full) => Err("the spool is full"),
        Err(SpoolError::Busy) => Err("too many webhooks are waiting for the spool"),
        Err(_) => Err("the spool cannot be used"),
    }
}

/// The reason that the sender may read.
fn failure(error: &PublishError) -> Failure {
    tracing::debug!(%error, "publish failed");
    match error {
        PublishError::Down => "the broker is away",
        PublishError::Blocked => "the broker takes no publishes for now",
        PublishError::Timeout => "the broker did not confirm in time",
        PublishError::TooBusy => "too many messages are waiting for the broker",
        _ => "the broker did not take the message",
    }
}
