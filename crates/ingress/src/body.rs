//! Reads a request body within three bounds: its bytes, its time, and the bytes of all bodies.

use std::borrow::Cow;
use std::pin::pin;
use std::time::Duration;

use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::{HttpRequest, web};
use futures_util::StreamExt;
use risiti_domain::Provider;
use risiti_providers::{BodyFormat, Channel, redact};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::answer::Answer;

/// How long the reading goes on after the timeout. The process itself may have been frozen or
/// starved while the body lay in the kernel's buffer, and Daraja never sends it again
/// (protocol A6).
const FINAL_READ: Duration = Duration::from_secs(1);

/// Bytes of all bodies together. As many connections as may be open, each with the largest body,
/// would come to gigabytes.
const BODY_BUDGET_BYTES: usize = 64 * 1024 * 1024;

/// Memory for the bodies of requests that are not answered yet.
///
/// It is acquired as bytes arrive, so that a request which only announces a large body holds none.
pub(crate) struct BodyBudget(Semaphore);

impl Default for BodyBudget {
    fn default() -> Self {
        Self::new(BODY_BUDGET_BYTES)
    }
}

impl BodyBudget {
    fn new(bytes: usize) -> Self {
        Self(Semaphore::new(bytes))
    }

    fn acquire(&self, bytes: usize) -> Result<SemaphorePermit<'_>, Answer> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.0
            .try_acquire_many(bytes)
            .map_err(|_| Answer::Unavailable("too many bodies at once"))
    }
}

/// Reads the bytes as they came, and holds their part of the budget. An error is the answer that
/// ends the request.
pub(crate) async fn read<'a>(
    budget: &'a BodyBudget,
    request: &HttpRequest,
    payload: &mut web::Payload,
    limit: usize,
    timeout: Duration,
) -> Result<(Vec<u8>, SemaphorePermit<'a>), Answer> {
    let declared = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > limit) {
        return Err(Answer::TooLarge { limit });
    }

    let mut reading = pin!(async {
        let mut body = Vec::with_capacity(declared.unwrap_or(1024).min(limit));
        let mut held = budget.acquire(0)?;
        while let Some(chunk) = payload.next().await {
            // actix reports chunks that cannot be read in the same way as a sender that broke off.
            let chunk = chunk.map_err(|_| Answer::Malformed)?;
            if body.len() + chunk.len() > limit {
                return Err(Answer::TooLarge { limit });
            }
            held.merge(budget.acquire(chunk.len())?);
            body.extend_from_slice(&chunk);
        }
        Ok((body, held))
    });

    for wait in [timeout, FINAL_READ] {
        if let Ok(read) = tokio::time::timeout(wait, reading.as_mut()).await {
            return read;
        }
    }
    Err(Answer::TooSlow)
}

/// The body in the form that may be published, spooled and stored. It is copied only where
/// credentials had to be blanked.
pub(crate) fn without_credentials(channel: Channel, body: Vec<u8>) -> Vec<u8> {
    match redact(channel, &body) {
        Cow::Borrowed(_) => body,
        Cow::Owned(redacted) => redacted,
    }
}

/// The body format that the content type names. A request without a content type is taken to be in
/// the provider's usual format.
///
/// Daraja never sends a message again, so its content type decides nothing. What is not JSON is
/// kept as unreadable. The other two send again after a refusal.
pub(crate) fn format(provider: Provider, request: &HttpRequest) -> Result<BodyFormat, Answer> {
    let usual = match provider {
        Provider::Daraja => return Ok(BodyFormat::Json),
        Provider::Paystack => BodyFormat::Json,
        Provider::Gumroad => BodyFormat::Form,
    };
    let Some(value) = request.headers().get(CONTENT_TYPE) else {
        return Ok(usual);
    };

    let essence = value
        .to_str()
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let named = match essence.as_str() {
        "application/json" | "text/json" => BodyFormat::Json,
        "application/x-www-form-urlencoded" => BodyFormat::Form,
        _ => return Err(Answer::WrongType),
    };

    match (provider, named) {
        (Provider::Paystack, BodyFormat::Form) => Err(Answer::WrongType),
        _ => Ok(named),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::FromRequest;
    use actix_web::test::TestRequest;

    use super::*;

    #[actix_web::test]
    async fn bytes_of_all_bodies_are_bounded_and_given_back() {
        let budget = BodyBudget::new(100);
        let limit = 1_000;
        let timeout = Duration::from_secs(10);
        let read_body = async |bytes: usize| {
            let (request, mut payload) = TestRequest::post()
                .set_payload(vec![b'x'; bytes])
                .to_http_parts();
            let mut payload = web::Payload::from_request(&request, &mut payload)
                .await
                .unwrap();
            read(&budget, &request, &mut payload, limit, timeout).await
        };

        let (body, held) = read_body(60).await.unwrap();
        assert_eq!(body.len(), 60);
        assert!(matches!(read_body(60).await, Err(Answer::Unavailable(_))));
        let (_, _also_held) = read_body(40).await.unwrap();

        drop(held);
        assert!(read_body(60).await.is_ok());
    }

    #[test]
    fn format_depends_on_provider_and_content_type() {
        for (provider, content_type, expected) in [
            (
                Provider::Daraja,
                Some("application/json;charset=UTF-8"),
                Ok(BodyFormat::Json),
            ),
            (
                Provider::Daraja,
                Some("Application/JSON"),
                Ok(BodyFormat::Json),
            ),
            (Provider::Daraja, None, Ok(BodyFormat::Json)),
            (Provider::Daraja, Some("text/plain"), Ok(BodyFormat::Json)),
            (
                Provider::Daraja,
                Some("application/x-www-form-urlencoded"),
                Ok(BodyFormat::Json),
            ),
            (
                Provider::Paystack,
                Some("application/x-www-form-urlencoded"),
                Err(Answer::WrongType),
            ),
            (
                Provider::Paystack,
                Some("application/json"),
                Ok(BodyFormat::Json),
            ),
            (
                Provider::Paystack,
                Some("multipart/form-data; boundary=x"),
                Err(Answer::WrongType),
            ),
            (
                Provider::Gumroad,
                Some("application/x-www-form-urlencoded"),
                Ok(BodyFormat::Form),
            ),
            (
                Provider::Gumroad,
                Some("application/json"),
                Ok(BodyFormat::Json),
            ),
            (Provider::Gumroad, None, Ok(BodyFormat::Form)),
            (Provider::Gumroad, Some(""), Err(Answer::WrongType)),
        ] {
            let mut request = TestRequest::post();
            if let Some(value) = content_type {
                request = request.insert_header(("content-type", value));
            }
            assert_eq!(
                format(provider, &request.to_http_request()),
                expected,
                "{provider} {content_type:?}"
            );
        }
    }
}
