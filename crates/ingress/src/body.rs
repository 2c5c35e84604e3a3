//! Reads a request body within its bounds: its bytes, its time, its rate, and the memory for all
//! bodies.

use std::borrow::Cow;
use std::pin::pin;
use std::time::Duration;

use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::{HttpRequest, web};
use futures_util::StreamExt;
use risiti_domain::Provider;
use risiti_providers::{BodyFormat, Channel, redact};

use crate::answer::Answer;
use crate::budget::HeldBody;

/// How long the reading goes on after the timeout. The process itself may have been frozen or
/// starved while the body lay in the kernel's buffer, and Daraja never sends it again
/// (protocol A6).
const FINAL_READ: Duration = Duration::from_secs(1);

/// How long the rate of a body is looked at before it is too low.
const RATE_WINDOW: Duration = Duration::from_secs(2);

/// The bounds of one body.
pub(crate) struct BodyLimits {
    pub(crate) bytes: usize,
    pub(crate) timeout: Duration,
    /// Bytes per second.
    pub(crate) rate_min: u64,
}

/// Reads the bytes as they came, and holds their part of the budget. An error is the answer that
/// ends the request.
pub(crate) async fn read<'a>(
    mut held: HeldBody<'a>,
    request: &HttpRequest,
    payload: &mut web::Payload,
    limits: &BodyLimits,
) -> Result<(Vec<u8>, HeldBody<'a>), Answer> {
    let limit = limits.bytes;
    let declared = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > limit) {
        return Err(Answer::TooLarge { limit });
    }

    let mut arriving = Vec::with_capacity(declared.unwrap_or(1024).min(limit));
    {
        let mut reading = pin!(read_whole(&mut held, &mut arriving, payload, limits));
        let mut read = None;
        for wait in [limits.timeout, FINAL_READ] {
            if let Ok(outcome) = tokio::time::timeout(wait, reading.as_mut()).await {
                read = Some(outcome);
                break;
            }
        }
        read.unwrap_or(Err(Answer::TooSlow))?;
    }
    held.is_whole();
    Ok((arriving, held))
}

async fn read_whole(
    held: &mut HeldBody<'_>,
    body: &mut Vec<u8>,
    payload: &mut web::Payload,
    limits: &BodyLimits,
) -> Result<(), Answer> {
    let limit = limits.bytes;
    let bytes_min = usize::try_from(limits.rate_min * RATE_WINDOW.as_secs()).unwrap_or(usize::MAX);
    loop {
        let before = body.len();
        let window = async {
            while let Some(chunk) = payload.next().await {
                // actix reports chunks that cannot be read in the same way as a sender that broke
                // off. A body that was given up ends in the same way.
                let chunk = chunk.map_err(|_| match held.is_given_up() {
                    true => Answer::Unavailable("too many bodies at once"),
                    false => Answer::Malformed,
                })?;
                if body.len() + chunk.len() > limit {
                    return Err(Answer::TooLarge { limit });
                }
                held.grow(chunk.len()).await?;
                body.extend_from_slice(&chunk);
            }
            Ok(())
        };
        if limits.rate_min == 0 {
            return window.await;
        }
        match tokio::time::timeout(RATE_WINDOW, window).await {
            Ok(ended) => return ended,
            Err(_) if body.len() - before < bytes_min => return Err(Answer::TooSlow),
            Err(_) => {}
        }
    }
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
    use actix_web::test::TestRequest;

    use super::*;

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
