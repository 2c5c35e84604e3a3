//! Answers to a gateway: the acknowledgement that its provider expects, or a problem detail
//! (RFC 9457).
//!
//! A gateway sees a status and a short text of ours. It never sees a value from its own body or an
//! inner error.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use risiti_providers::{Channel, Unreadable};
use serde_json::json;

use crate::metrics::Outcome;

/// How long a gateway is asked to wait when the trouble is ours.
const RETRY_AFTER_SECONDS: &str = "5";

/// How one webhook request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Accepted,
    /// Accepted onto our own disk. The sender gets the same answer as for `Accepted`.
    Spooled,
    Duplicate,
    /// The body is authentic and durable, but not in the shape the provider documents.
    Unreadable {
        why: Unreadable,
        /// Whether the same body was made durable before. The sender gets the same answer.
        is_duplicate: bool,
    },
    Unauthenticated,
    /// The source address is not in the list that the merchant enforces.
    Forbidden,
    UnknownPath,
    MethodNotAllowed,
    /// The body ended early, or its chunks are not what HTTP lays down.
    Malformed,
    TooSlow,
    /// The head is not HTTP, can be read in two ways, or ended early.
    MalformedHead,
    HeadTooLarge,
    TooLarge {
        limit: usize,
    },
    WrongType,
    /// The trouble is ours, so the status is never 4xx, and never 429 (protocol A6).
    Unavailable(&'static str),
}

impl Answer {
    /// The label of `risiti_webhooks_total`.
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Accepted => Outcome::Accepted,
            Self::Spooled => Outcome::Spooled,
            Self::Duplicate
            | Self::Unreadable {
                is_duplicate: true, ..
            } => Outcome::Duplicate,
            Self::Unreadable { .. } => Outcome::Unreadable,
            Self::Unauthenticated => Outcome::Unauthenticated,
            Self::UnknownPath => Outcome::UnknownPath,
            Self::Forbidden
            | Self::MethodNotAllowed
            | Self::Malformed
            | Self::TooSlow
            | Self::MalformedHead
            | Self::HeadTooLarge
            | Self::TooLarge { .. }
            | Self::WrongType => Outcome::Refused,
            Self::Unavailable(_) => Outcome::Unavailable,
        }
    }

    /// Answers a request whose channel is known.
    pub(crate) fn respond(&self, channel: Channel) -> HttpResponse {
        match self {
            Self::Accepted | Self::Spooled => acknowledge(channel, false),
            Self::Duplicate => acknowledge(channel, true),
            Self::Unreadable { why, .. } => problem(
                StatusCode::UNPROCESSABLE_ENTITY,
                "Not the shape the provider documents",
                &why.to_string(),
                Some(&why.field),
            ),
            _ => self.refuse(),
        }
    }

    /// Refuses a request. A refusal is the same for every provider.
    pub(crate) fn refuse(&self) -> HttpResponse {
        match self {
            Self::Unauthenticated => problem(
                StatusCode::UNAUTHORIZED,
                "Signature missing or wrong",
                "x-paystack-signature does not match the body",
                None,
            ),
            Self::Forbidden => problem(
                StatusCode::FORBIDDEN,
                "Source not allowed",
                "the source address is not on the merchant's list",
                None,
            ),
            Self::MethodNotAllowed => {
                let mut answer = problem(
                    StatusCode::METHOD_NOT_ALLOWED,
                    "Method not allowed",
                    "webhooks are sent with POST",
                    None,
                );
                answer
                    .headers_mut()
                    .insert(ALLOW, HeaderValue::from_static("POST"));
                answer
            }
            Self::Malformed => problem(
                StatusCode::BAD_REQUEST,
                "Body malformed",
                "the body ended early, or its chunks cannot be read",
                None,
            ),
            Self::TooSlow => problem(
                StatusCode::REQUEST_TIMEOUT,
                "Request too slow",
                "the request did not arrive in time",
                None,
            ),
            Self::MalformedHead => problem(
                StatusCode::BAD_REQUEST,
                "Request malformed",
                "the request line or its headers are not HTTP/1.1, or ended early",
                None,
            ),
            Self::HeadTooLarge => problem(
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "Headers too large",
                "the request line and its headers exceed 16384 bytes or 96 lines",
                None,
            ),
            Self::TooLarge { limit } => problem(
                StatusCode::PAYLOAD_TOO_LARGE,
                "Body too large",
                &format!("the body exceeds {limit} bytes"),
                None,
            ),
            Self::WrongType => problem(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "Wrong content type",
                "Paystack sends JSON, Gumroad sends a form or JSON",
                None,
            ),
            Self::Unavailable(why) => {
                let mut answer = problem(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "Cannot make the webhook durable now",
                    why,
                    None,
                );
                answer
                    .headers_mut()
                    .insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
                answer
            }
            // `respond` answers the other four, so they never reach this place.
            Self::UnknownPath
            | Self::Accepted
            | Self::Spooled
            | Self::Duplicate
            | Self::Unreadable { .. } => problem(
                StatusCode::NOT_FOUND,
                "Not found",
                "no webhook is served here",
                None,
            ),
        }
    }
}

/// The acknowledgement that each provider expects (docs/operating.md, "What a gateway hears").
fn acknowledge(channel: Channel, duplicate: bool) -> HttpResponse {
    HttpResponse::Ok().json(match channel {
        Channel::DarajaC2bConfirmation => json!({"ResultCode": 0, "ResultDesc": "Success"}),
        Channel::DarajaC2bValidation => json!({"ResultCode": "0", "ResultDesc": "Accepted"}),
        Channel::DarajaStk | Channel::DarajaResult | Channel::DarajaTimeout => {
            json!({"ResultCode": 0, "ResultDesc": if duplicate { "Duplicate ignored" } else { "Accepted" }})
        }
        Channel::Paystack | Channel::Gumroad => {
            json!({"status": if duplicate { "duplicate" } else { "accepted" }})
        }
    })
}

fn problem(status: StatusCode, title: &str, detail: &str, field: Option<&str>) -> HttpResponse {
    let mut body =
        json!({"type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail});
    if let Some(field) = field {
        body["field"] = json!(field);
    }
    HttpResponse::build(status)
        .insert_header((CONTENT_TYPE, "application/problem+json"))
        .body(body.to_string())
}

#[cfg(test)]
mod tests {
    use actix_web::body::{MessageBody, to_bytes};

    use super::*;

    async fn body(answer: HttpResponse) -> serde_json::Value {
        let bytes = to_bytes(answer.into_body().boxed()).await.unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[actix_web::test]
    async fn each_provider_gets_its_own_acknowledgement() {
        for (channel, first, again) in [
            (
                Channel::DarajaStk,
                json!({"ResultCode": 0, "ResultDesc": "Accepted"}),
                json!({"ResultCode": 0, "ResultDesc": "Duplicate ignored"}),
            ),
            (
                Channel::DarajaC2bConfirmation,
                json!({"ResultCode": 0, "ResultDesc": "Success"}),
                json!({"ResultCode": 0, "ResultDesc": "Success"}),
            ),
            (
                Channel::DarajaC2bValidation,
                json!({"ResultCode": "0", "ResultDesc": "Accepted"}),
                json!({"ResultCode": "0", "ResultDesc": "Accepted"}),
            ),
            (
                Channel::Paystack,
                json!({"status": "accepted"}),
                json!({"status": "duplicate"}),
            ),
            (
                Channel::Gumroad,
                json!({"status": "accepted"}),
                json!({"status": "duplicate"}),
            ),
        ] {
            assert_eq!(
                body(Answer::Accepted.respond(channel)).await,
                first,
                "{channel:?}"
            );
            assert_eq!(
                body(Answer::Spooled.respond(channel)).await,
                first,
                "{channel:?}"
            );
            assert_eq!(
                body(Answer::Duplicate.respond(channel)).await,
                again,
                "{channel:?}"
            );
        }
    }

    #[actix_web::test]
    async fn unreadable_body_is_answered_with_its_field() {
        let why = Unreadable {
            field: "Body.stkCallback.ResultCode".into(),
            problem: "missing".into(),
        };
        let answer = Answer::Unreadable {
            why,
            is_duplicate: false,
        };
        assert_eq!(answer.outcome(), Outcome::Unreadable);
        let answer = answer.respond(Channel::DarajaStk);
        assert_eq!(answer.status(), 422);
        assert_eq!(
            answer.headers().get("content-type").unwrap(),
            "application/problem+json"
        );
        let body = body(answer).await;
        assert_eq!(body["field"], "Body.stkCallback.ResultCode");
        assert_eq!(body["detail"], "Body.stkCallback.ResultCode: missing");
    }

    #[test]
    fn own_trouble_asks_the_sender_to_retry() {
        let answer = Answer::Unavailable("the broker is away").refuse();
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.headers().get("retry-after").unwrap(), "5");
    }

    #[test]
    fn wrong_method_is_answered_with_the_right_one() {
        let answer = Answer::MethodNotAllowed.refuse();
        assert_eq!(answer.status(), 405);
        assert_eq!(answer.headers().get("allow").unwrap(), "POST");
    }
}
