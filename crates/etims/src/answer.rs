//! What KRA said, in a form that may be stored and logged.

use std::fmt;
use std::time::Duration;

use crate::classify::{Class, HaltReason};
use crate::envelope::Envelope;
use crate::http::HttpAnswer;
use crate::text;

/// KRA names no pause for code 990. Integrators recommend a long one.
const TOO_MANY_VIEWS_PAUSE: Duration = Duration::from_secs(5 * 60);

/// What KRA said, or what went wrong instead. It is safe to store and to log: it is bounded, and it
/// holds no control characters, phone numbers or credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// KRA's result code. The gateway's refusals have none.
    pub code: Option<String>,
    pub message: String,
    pub http_status: Option<u16>,
    /// How long the host asked us not to call, at most a day.
    pub retry_after: Option<Duration>,
    /// The failure is the host's rather than this invoice's. It counts towards the breaker
    /// (protocol D12).
    pub against_host: bool,
    /// The answer is worth another try. When it stays the same, the lane halts for this reason.
    pub halts_if_repeated: Option<HaltReason>,
}

impl Answer {
    /// Keeps what KRA said, and what the class of the answer says about the host.
    pub(crate) fn judged(
        secrets: &[&str],
        http: &HttpAnswer,
        envelope: Option<&Envelope<'_>>,
        class: Class,
    ) -> Self {
        let (against_host, halts_if_repeated) = match class {
            Class::Unknown { against_host } => (against_host, None),
            Class::HostHalt(_) => (true, None),
            Class::Retry {
                against_host,
                halts_if_repeated,
            } => (against_host, halts_if_repeated),
            Class::Refused { .. } | Class::Taken | Class::OutOfStep(_) | Class::Halt(_) => {
                (false, None)
            }
        };

        let code = envelope
            .and_then(|envelope| envelope.code.as_deref())
            .map(text::code);
        let too_many_views = code.as_deref() == Some("990");
        let retry_after = http
            .retry_after
            .or(too_many_views.then_some(TOO_MANY_VIEWS_PAUSE));
        let message = match envelope {
            Some(envelope) => text::message_without(secrets, &envelope.message),
            None => format!("{} bytes that are no JSON object", http.body.len()),
        };

        Self {
            code,
            message,
            http_status: Some(http.status),
            retry_after,
            against_host,
            halts_if_repeated,
        }
    }

    /// Makes an answer for a call that brought none.
    pub(crate) fn none(message: &str, against_host: bool) -> Self {
        Self {
            message: text::message(message),
            against_host,
            ..Self::default()
        }
    }

    pub(crate) fn with_message(self, message: &str) -> Self {
        Self {
            message: message.to_owned(),
            ..self
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.code, self.http_status) {
            (Some(code), _) => write!(f, "{code} {}", self.message),
            (None, Some(status)) => write!(f, "HTTP {status} {}", self.message),
            (None, None) => f.write_str(&self.message),
        }
    }
}
