//! Reading a request body under two bounds: bytes and time.

use std::pin::pin;
use std::time::Duration;

use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::{HttpRequest, web};
use futures_util::StreamExt;
use risiti_domain::Provider;
use risiti_providers::BodyFormat;

use crate::answer::Answer;

/// When the patience is over, what has arrived meanwhile gets this long to be read: the wait may have been our own, frozen or starved,
/// while the body lay in the kernel's buffer, and Daraja never sends it again (protocol A6).
const LAST_LOOK: Duration = Duration::from_secs(1);

/// The bytes as they came, or the answer that ends the request.
pub(crate) async fn read(
    request: &HttpRequest,
    payload: &mut web::Payload,
    limit: usize,
    patience: Duration,
) -> Result<Vec<u8>, Answer> {
    let declared = request.headers().get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > limit) {
        return Err(Answer::TooLarge { limit });
    }
    let mut reading = pin!(async {
        let mut body = Vec::with_capacity(declared.unwrap_or(1024).min(limit));
        while let Some(chunk) = payload.next().await {
            // A sender that broke off or framed its body wrongly gets an answer it will hardly read.
            let chunk = chunk.map_err(|_| Answer::TooSlow)?;
            if body.len() + chunk.len() > limit {
                return Err(Answer::TooLarge { limit });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    });
    for wait in [patience, LAST_LOOK] {
        if let Ok(read) = tokio::time::timeout(wait, reading.as_mut()).await {
            return read;
        }
    }
    Err(Answer::TooSlow)
}

/// Which of a provider's formats the content type names; no content type at all is taken as the usual one,
/// since a refusal loses the message for good.
pub(crate) fn format(provider: Provider, request: &HttpRequest) -> Result<BodyFormat, Answer> {
    let usual = match provider {
        Provider::Daraja | Provider::Paystack => BodyFormat::Json,
        Provider::Gumroad => BodyFormat::Form,
    };
    let Some(value) = request.headers().get(CONTENT_TYPE) else { return Ok(usual) };
    let essence =
        value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let named = match essence.as_str() {
        "application/json" | "text/json" => BodyFormat::Json,
        "application/x-www-form-urlencoded" => BodyFormat::Form,
        _ => return Err(Answer::WrongType),
    };
    match (provider, named) {
        (Provider::Daraja | Provider::Paystack, BodyFormat::Form) => Err(Answer::WrongType),
        _ => Ok(named),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn formats_by_provider_and_content_type() {
        for (provider, content_type, expected) in [
            (Provider::Daraja, Some("application/json;charset=UTF-8"), Ok(BodyFormat::Json)),
            (Provider::Daraja, Some("Application/JSON"), Ok(BodyFormat::Json)),
            (Provider::Daraja, None, Ok(BodyFormat::Json)),
            (Provider::Daraja, Some("text/plain"), Err(Answer::WrongType)),
            (Provider::Daraja, Some("application/x-www-form-urlencoded"), Err(Answer::WrongType)),
            (Provider::Paystack, Some("application/json"), Ok(BodyFormat::Json)),
            (Provider::Paystack, Some("multipart/form-data; boundary=x"), Err(Answer::WrongType)),
            (Provider::Gumroad, Some("application/x-www-form-urlencoded"), Ok(BodyFormat::Form)),
            (Provider::Gumroad, Some("application/json"), Ok(BodyFormat::Json)),
            (Provider::Gumroad, None, Ok(BodyFormat::Form)),
            (Provider::Gumroad, Some(""), Err(Answer::WrongType)),
        ] {
            let mut request = TestRequest::post();
            if let Some(value) = content_type {
                request = request.insert_header(("content-type", value));
            }
            assert_eq!(format(provider, &request.to_http_request()), expected, "{provider} {content_type:?}");
        }
    }
}
