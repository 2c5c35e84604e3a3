//! Where a webhook becomes safe: a quorum queue's confirm (protocol A1).

use std::time::{Duration, Instant};

use bytes::Bytes;
use risiti_providers::Envelope;
use risiti_queue::{Message, PublishError, Publisher, Target};

use crate::dedup::Failure;
use crate::metrics::Metrics;

#[derive(Clone)]
pub(crate) struct Durable {
    publisher: Publisher,
    timeout: Duration,
    metrics: Metrics,
}

impl Durable {
    pub(crate) fn new(publisher: Publisher, timeout: Duration, metrics: Metrics) -> Self {
        Self { publisher, timeout, metrics }
    }

    /// Done when the broker confirmed the message. The body is the provider's bytes, untouched.
    pub(crate) fn keep(
        &self,
        envelope: &Envelope,
        body: Bytes,
    ) -> impl Future<Output = Result<(), Failure>> + Send + 'static {
        let message = Message { id: envelope.event_id.uuid(), headers: envelope.to_headers(), body };
        let Self { publisher, timeout, metrics } = self.clone();
        async move {
            let started = Instant::now();
            let published = publisher.publish(Target::Payments, message, timeout).await;
            metrics.published(started.elapsed());
            published.map_err(|error| reason(&error))
        }
    }
}

/// What the sender may hear of it.
fn reason(error: &PublishError) -> Failure {
    tracing::debug!(%error, "publish failed");
    match error {
        PublishError::Down => "the broker is away",
        PublishError::Blocked => "the broker takes no more for now",
        PublishError::Timeout => "the broker did not confirm in time",
        PublishError::TooBusy => "too many messages are waiting for the broker",
        _ => "the broker did not take the message",
    }
}
