//! The publish breaker: whether webhooks go to the broker or to the spool first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use risiti_queue::PublishError;

/// Opens when a publish was not confirmed in time, and closes at the next confirm.
///
/// While it is open, webhooks go to the spool first. Otherwise each of them would wait two seconds
/// for a broker that hangs. The drainer goes on publishing, so it notices when the broker recovers.
#[derive(Clone, Default)]
pub(crate) struct PublishBreaker(Arc<AtomicBool>);

impl PublishBreaker {
    pub(crate) fn record(&self, outcome: &Result<(), PublishError>) {
        match outcome {
            Ok(()) => self.0.store(false, Ordering::Relaxed),
            Err(PublishError::Timeout | PublishError::TooBusy) => {
                self.0.store(true, Ordering::Relaxed)
            }
            // The other errors come at once, so no webhook waits for them.
            Err(_) => {}
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unconfirmed_publish_opens_and_a_confirm_closes() {
        let breaker = PublishBreaker::default();

        breaker.record(&Err(PublishError::Down));
        assert!(
            !breaker.is_open(),
            "no webhook waits for a broker that is known to be down"
        );

        breaker.record(&Err(PublishError::Timeout));
        breaker.record(&Err(PublishError::Nack));
        assert!(breaker.is_open());

        breaker.record(&Ok(()));
        assert!(!breaker.is_open());
    }
}
