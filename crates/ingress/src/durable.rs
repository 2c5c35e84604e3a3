//! Makes a webhook durable: a quorum queue confirms it, or the spool fsyncs it (protocol A1).

use std::time::{Duration, Instant};

use bytes::Bytes;
use risiti_providers::Envelope;
use risiti_queue::{Message, PublishError, Publisher, Target};
use risiti_spool::{Spool, SpoolError};

use crate::dedup::{Failure, StoredIn};
use crate::metrics::Metrics;
use crate::publish_breaker::PublishBreaker;
use crate::spool::message;

/// Longest wait for a confirm where there is a spool. It leaves the spool enough of
/// `ANSWER_TIMEOUT`.
const CONFIRM_TIMEOUT_MAX: Duration = Duration::from_secs(2);

/// The two places where a webhook can be durable, and which of them is tried first.
#[derive(Clone)]
pub(crate) struct DurableStore {
    publisher: Publisher,
    publish_timeout: Duration,
    /// `None` when the operator turned the spool off. What the broker cannot confirm is refused.
    spool: Option<Spool>,
    breaker: PublishBreaker,
    metrics: Metrics,
}

impl DurableStore {
    pub(crate) fn new(
        publisher: Publisher,
        publish_timeout: Duration,
        spool: Option<Spool>,
        breaker: PublishBreaker,
        metrics: Metrics,
    ) -> Self {
        let publish_timeout = if spool.is_some() {
            publish_timeout.min(CONFIRM_TIMEOUT_MAX)
        } else {
            publish_timeout
        };

        Self {
            publisher,
            publish_timeout,
            spool,
            breaker,
            metrics,
        }
    }

    /// Returns when the broker has confirmed the message or the spool has it on disk. The body is
    /// the provider's bytes, untouched.
    ///
    /// Queue and spool get the same event id, so a confirm that was only late makes no second
    /// event.
    pub(crate) fn keep(
        &self,
        envelope: &Envelope,
        body: Bytes,
    ) -> impl Future<Output = Result<StoredIn, Failure>> + Send + 'static {
        let message = Message {
            id: envelope.event_id.uuid(),
            headers: envelope.to_headers(),
            body,
        };
        let store = self.clone();

        async move {
            match &store.spool {
                Some(spool) if store.breaker.is_open() => store.spool_first(spool, message).await,
                spool => store.publish_first(spool.as_ref(), message).await,
            }
        }
    }

    async fn spool_first(&self, spool: &Spool, message: Message) -> Result<StoredIn, Failure> {
        if append(spool, &message).await.is_ok() {
            return Ok(StoredIn::Spool);
        }

        match self.publish(message).await {
            Ok(()) => Ok(StoredIn::Queue),
            Err(error) => Err(failure(&error)),
        }
    }

    async fn publish_first(
        &self,
        spool: Option<&Spool>,
        message: Message,
    ) -> Result<StoredIn, Failure> {
        let Err(error) = self.publish(message.clone()).await else {
            return Ok(StoredIn::Queue);
        };

        // The broker never takes headers of this size, so the spool would hold them for ever.
        if matches!(error, PublishError::Oversized) {
            return Err(failure(&error));
        }
        let Some(spool) = spool else {
            return Err(failure(&error));
        };

        match append(spool, &message).await {
            Ok(()) => Ok(StoredIn::Spool),
            Err(SpoolError::Full) => Err("the broker is away and the spool is full"),
            Err(_) => Err("the broker is away and the spool cannot be used"),
        }
    }

    async fn publish(&self, message: Message) -> Result<(), PublishError> {
        let started = Instant::now();
        let outcome = self
            .publisher
            .publish(Target::Payments, message, self.publish_timeout)
            .await;
        self.metrics.published(started.elapsed());
        self.breaker.record(&outcome);
        outcome
    }
}

async fn append(spool: &Spool, message: &Message) -> Result<(), SpoolError> {
    spool.append(message::encode(message)).await
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
