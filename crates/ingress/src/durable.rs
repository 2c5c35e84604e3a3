//! Where a webhook becomes safe: a quorum queue's confirm, or the spool's fsync (protocol A1).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use risiti_providers::Envelope;
use risiti_queue::{Message, PublishError, Publisher, Target};
use risiti_spool::{Spool, SpoolError};

use crate::dedup::{Failure, Kept};
use crate::metrics::Metrics;
use crate::spool::message;

/// The longest wait for a confirm where there is a spool, which must still have its turn within `ANSWER_WITHIN`.
const CONFIRM_WITHIN: Duration = Duration::from_secs(2);

#[derive(Clone)]
pub(crate) struct Durable {
    publisher: Publisher,
    timeout: Duration,
    /// `None`: the operator wants none, and what the broker cannot confirm is refused.
    spool: Option<Spool>,
    suspicion: Suspicion,
    metrics: Metrics,
}

/// Raised by a publish that was not confirmed in time, lifted by the next confirm: while it lasts, webhooks go to the spool
/// first, or each of them would wait its two seconds for a broker that hangs. The drainer goes on asking.
#[derive(Clone, Default)]
pub(crate) struct Suspicion(Arc<AtomicBool>);

impl Suspicion {
    pub(crate) fn learn(&self, outcome: &Result<(), PublishError>) {
        match outcome {
            Ok(()) => self.0.store(false, Ordering::Relaxed),
            Err(PublishError::Timeout | PublishError::TooBusy) => {
                self.0.store(true, Ordering::Relaxed)
            }
            Err(_) => {}
        }
    }

    fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Durable {
    pub(crate) fn new(
        publisher: Publisher,
        timeout: Duration,
        spool: Option<Spool>,
        suspicion: Suspicion,
        metrics: Metrics,
    ) -> Self {
        let timeout = if spool.is_some() {
            timeout.min(CONFIRM_WITHIN)
        } else {
            timeout
        };
        Self {
            publisher,
            timeout,
            spool,
            suspicion,
            metrics,
        }
    }

    /// Done when the broker confirmed the message or the spool has it on disk. The body is the provider's bytes, untouched.
    ///
    /// Both ways carry the same event id: a confirm that was only late makes no second event of it.
    pub(crate) fn keep(
        &self,
        envelope: &Envelope,
        body: Bytes,
    ) -> impl Future<Output = Result<Kept, Failure>> + Send + 'static {
        let message = Message {
            id: envelope.event_id.uuid(),
            headers: envelope.to_headers(),
            body,
        };
        let durable = self.clone();
        async move {
            if durable.suspicion.is_raised()
                && let Some(spool) = &durable.spool
            {
                if append(spool, &message).await.is_ok() {
                    return Ok(Kept::Spooled);
                }
                return durable
                    .publish(message)
                    .await
                    .map(|()| Kept::Queued)
                    .map_err(|e| reason(&e));
            }
            let Err(error) = durable.publish(message.clone()).await else {
                return Ok(Kept::Queued);
            };
            // Headers the broker can never be sent would stay in the spool for ever.
            if matches!(error, PublishError::Oversized) {
                return Err(reason(&error));
            }
            let Some(spool) = &durable.spool else {
                return Err(reason(&error));
            };
            match append(spool, &message).await {
                Ok(()) => Ok(Kept::Spooled),
                Err(SpoolError::Full) => Err("the broker is away and the spool is full"),
                Err(_) => Err("the broker is away and the spool cannot be used"),
            }
        }
    }

    async fn publish(&self, message: Message) -> Result<(), PublishError> {
        let started = Instant::now();
        let published = self
            .publisher
            .publish(Target::Payments, message, self.timeout)
            .await;
        self.metrics.published(started.elapsed());
        self.suspicion.learn(&published);
        published
    }
}

async fn append(spool: &Spool, message: &Message) -> Result<(), SpoolError> {
    spool.append(message::write(message)).await
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publish_that_hung_raises_suspicion_and_a_confirm_lifts_it() {
        let suspicion = Suspicion::default();
        suspicion.learn(&Err(PublishError::Down));
        assert!(
            !suspicion.is_raised(),
            "a broker known to be away costs nobody a wait"
        );
        suspicion.learn(&Err(PublishError::Timeout));
        suspicion.learn(&Err(PublishError::Nack));
        assert!(suspicion.is_raised());
        suspicion.learn(&Ok(()));
        assert!(!suspicion.is_raised());
    }
}
