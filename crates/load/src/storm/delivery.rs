//! One delivery of a message, with the retries that its gateway would make.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::{Client, Method};
use tokio::sync::{Semaphore, mpsc};
use url::Url;

use crate::record::{Line, Sent};
use crate::traffic::message::{Provider, Request};

/// One delivery, which a gateway makes once or tries repeatedly.
pub(crate) struct Delivery {
    /// The number of the payment or stray request.
    pub(crate) number: u64,
    /// The index of the message among those of the payment.
    pub(crate) message: usize,
    pub(crate) copy: u32,
    pub(crate) provider: Provider,
    pub(crate) method: Method,
    /// The index of the ingress of the first try. Further tries go to the next ones in turn.
    pub(crate) to: usize,
    pub(crate) retries: Retries,
    pub(crate) request: Arc<Request>,
    /// When the request is due since the beginning, in a storm at a fixed rate.
    pub(crate) due: Option<Duration>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Retries {
    AsGateway,
    /// A forger tries once.
    Never,
}

/// What all deliveries share.
pub(crate) struct DeliveryContext {
    pub(crate) ingress: Vec<Url>,
    pub(crate) client: Client,
    /// It has one permit per request in flight.
    pub(crate) in_flight: Semaphore,
    pub(crate) record: mpsc::Sender<Line>,
    pub(crate) began: Instant,
}

impl DeliveryContext {
    /// Milliseconds since the storm began.
    pub(crate) fn now_ms(&self) -> u64 {
        millis(self.began.elapsed())
    }
}

/// Paystack retries for days. Here its retries take seconds.
const PAYSTACK_TRIES: u32 = 40;
const PAYSTACK_PAUSE: Duration = Duration::from_millis(500);
/// Gumroad's real pauses are 60, 180 and 600 s.
const GUMROAD_PAUSES: [Duration; 3] = [
    Duration::from_millis(600),
    Duration::from_millis(1800),
    Duration::from_millis(6000),
];

/// Returns the pause after which the gateway tries again, or none where it gives up.
///
/// Daraja never tries again. Gumroad does after some statuses, but not without an answer.
fn pause_before_retry(provider: Provider, attempt: u32, status: Option<u16>) -> Option<Duration> {
    match provider {
        Provider::Daraja => None,
        Provider::Paystack if status == Some(200) || attempt >= PAYSTACK_TRIES => None,
        Provider::Paystack => Some(PAYSTACK_PAUSE),
        Provider::Gumroad if matches!(status, Some(499 | 500 | 502 | 503 | 504)) => {
            GUMROAD_PAUSES.get(attempt as usize - 1).copied()
        }
        Provider::Gumroad => None,
    }
}

impl Delivery {
    /// Sends until the gateway would stop. Each try and its answer go into the record.
    pub(crate) async fn send(self, context: Arc<DeliveryContext>) {
        let mut attempt = 1;
        loop {
            let sent = self.attempt(&context, attempt).await;
            let status = sent.status;
            // The recorder outlives the storm. Where it failed, its own error is reported.
            let _ = context.record.send(Line::Sent(sent)).await;

            let pause = pause_before_retry(self.provider, attempt, status);
            match pause.filter(|_| self.retries == Retries::AsGateway) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return,
            }
            attempt += 1;
        }
    }

    async fn attempt(&self, context: &DeliveryContext, attempt: u32) -> Sent {
        let _permit = context.in_flight.acquire().await;
        let mut to = (self.to + attempt as usize - 1) % context.ingress.len();
        let began = Instant::now();
        let at = Timestamp::now();
        let at_ms = context.now_ms();

        let mut answer = self.request(context, to, attempt).await;
        // Nothing was sent where the connection failed, so the next ingress is asked, as a load
        // balancer would do.
        if matches!(&answer, Err(error) if error.is_connect()) {
            to = (to + 1) % context.ingress.len();
            answer = self.request(context, to, attempt).await;
        }

        let (status, text) =
            answer.map_or((None, String::new()), |(status, text)| (Some(status), text));
        Sent {
            number: self.number,
            message: self.message,
            copy: self.copy,
            attempt,
            to,
            status,
            duplicate: text.to_ascii_lowercase().contains("duplicate"),
            at,
            at_ms,
            due_ms: self.due.filter(|_| attempt == 1).map(millis),
            ms: millis(began.elapsed()),
        }
    }

    async fn request(
        &self,
        context: &DeliveryContext,
        to: usize,
        attempt: u32,
    ) -> reqwest::Result<(u16, String)> {
        let url = format!(
            "{}/{}",
            context.ingress[to].as_str().trim_end_matches('/'),
            self.request.path
        );
        let mut body = self.request.body.clone();
        if self.provider == Provider::Gumroad && attempt > 1 {
            body.extend_from_slice(format!("&retry_count={}", attempt - 1).as_bytes());
        }

        let mut request = context
            .client
            .request(self.method.clone(), url)
            .header("content-type", self.request.content_type);
        if let Some(signature) = &self.request.signature {
            request = request.header("x-paystack-signature", signature);
        }

        let answer = request.body(body).send().await?;
        let status = answer.status().as_u16();
        // The status counts as the answer, even when the body breaks off.
        Ok((status, answer.text().await.unwrap_or_default()))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Provider::{Daraja, Gumroad, Paystack};

    #[test]
    fn gateways_retry_as_the_real_ones_do() {
        for status in [None, Some(200), Some(503)] {
            assert_eq!(pause_before_retry(Daraja, 1, status), None);
        }
        assert!(pause_before_retry(Paystack, 1, None).is_some());
        assert!(pause_before_retry(Paystack, 1, Some(422)).is_some());
        assert_eq!(pause_before_retry(Paystack, 1, Some(200)), None);
        assert_eq!(
            pause_before_retry(Paystack, PAYSTACK_TRIES, Some(503)),
            None
        );
        assert_eq!(pause_before_retry(Gumroad, 1, None), None);
        assert_eq!(
            pause_before_retry(Gumroad, 3, Some(503)),
            Some(GUMROAD_PAUSES[2])
        );
        assert_eq!(pause_before_retry(Gumroad, 4, Some(503)), None);
    }
}
