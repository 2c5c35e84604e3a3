//! One message on its way, tried again as its gateway would.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::{Client, Method};
use tokio::sync::{Semaphore, mpsc};
use url::Url;

use crate::message::{Provider, Request};
use crate::record::{Line, Sent};

/// One delivery that a gateway makes once, or keeps trying.
pub(crate) struct Delivery {
    pub(crate) story: u64,
    pub(crate) message: usize,
    pub(crate) copy: u32,
    pub(crate) provider: Provider,
    pub(crate) method: Method,
    /// The address of the first try; the others follow in turn.
    pub(crate) to: usize,
    /// Nobody repeats what was forged.
    pub(crate) repeats: bool,
    pub(crate) request: Arc<Request>,
    /// Since the storm began, where the clock decides.
    pub(crate) due: Option<Duration>,
}

/// What all deliveries share.
pub(crate) struct Post {
    pub(crate) ingress: Vec<Url>,
    pub(crate) client: Client,
    /// One permit per request in flight.
    pub(crate) in_flight: Semaphore,
    pub(crate) lines: mpsc::Sender<Line>,
    pub(crate) began: Instant,
}

impl Post {
    /// Since the storm began.
    pub(crate) fn now_ms(&self) -> u64 {
        millis(self.began.elapsed())
    }
}

/// A gateway's days are seconds here.
const PAYSTACK_TRIES: u32 = 40;
const PAYSTACK_PAUSE: Duration = Duration::from_millis(500);
/// 60, 180 and 600 s in life.
const GUMROAD_PAUSES: [Duration; 3] = [
    Duration::from_millis(600),
    Duration::from_millis(1800),
    Duration::from_millis(6000),
];

/// Whether and when the gateway tries once more after this answer.
///
/// Daraja never does. Gumroad does after some statuses, and not when nobody answers.
fn next_try(provider: Provider, attempt: u32, status: Option<u16>) -> Option<Duration> {
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
    /// Sends until the gateway would stop; each try and its answer go into the record.
    pub(crate) async fn make(self, post: Arc<Post>) {
        let mut attempt = 1;
        loop {
            let sent = self.attempt(&post, attempt).await;
            let status = sent.status;
            // The recorder outlives the storm; were it gone, its own error says so.
            let _ = post.lines.send(Line::Sent(sent)).await;
            match next_try(self.provider, attempt, status).filter(|_| self.repeats) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return,
            }
            attempt += 1;
        }
    }

    async fn attempt(&self, post: &Post, attempt: u32) -> Sent {
        let _permit = post.in_flight.acquire().await;
        let mut to = (self.to + attempt as usize - 1) % post.ingress.len();
        let (began, at, at_ms) = (Instant::now(), Timestamp::now(), post.now_ms());
        let mut answer = self.request(post, to, attempt).await;
        // As the balancer before them would: where nobody listens nothing was sent, so another is asked.
        if matches!(&answer, Err(error) if error.is_connect()) {
            to = (to + 1) % post.ingress.len();
            answer = self.request(post, to, attempt).await;
        }
        let (status, text) =
            answer.map_or((None, String::new()), |(status, text)| (Some(status), text));
        Sent {
            story: self.story,
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
        post: &Post,
        to: usize,
        attempt: u32,
    ) -> reqwest::Result<(u16, String)> {
        let url = format!(
            "{}/{}",
            post.ingress[to].as_str().trim_end_matches('/'),
            self.request.path
        );
        let mut body = self.request.body.clone();
        if self.provider == Provider::Gumroad && attempt > 1 {
            body.extend_from_slice(format!("&retry_count={}", attempt - 1).as_bytes());
        }
        let mut request = post
            .client
            .request(self.method.clone(), url)
            .header("content-type", self.request.content_type);
        if let Some(signature) = &self.request.signature {
            request = request.header("x-paystack-signature", signature);
        }
        let answer = request.body(body).send().await?;
        let status = answer.status().as_u16();
        // The status is the answer, also when the rest breaks off.
        Ok((status, answer.text().await.unwrap_or_default()))
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gateways_repeat_as_they_do_in_life() {
        use Provider::{Daraja, Gumroad, Paystack};
        for status in [None, Some(200), Some(503)] {
            assert_eq!(next_try(Daraja, 1, status), None);
        }
        assert!(next_try(Paystack, 1, None).is_some());
        assert!(next_try(Paystack, 1, Some(422)).is_some());
        assert_eq!(next_try(Paystack, 1, Some(200)), None);
        assert_eq!(next_try(Paystack, PAYSTACK_TRIES, Some(503)), None);
        assert_eq!(next_try(Gumroad, 1, None), None);
        assert_eq!(next_try(Gumroad, 3, Some(503)), Some(GUMROAD_PAUSES[2]));
        assert_eq!(next_try(Gumroad, 4, Some(503)), None);
    }
}
