//! Why a payment is flagged, in the words that a person sees.

use crate::recording::verdict::SHORT_CODE_UNKNOWN;

/// The stored reason, or what to do about a short code that is not registered.
#[must_use]
pub fn flag_reason(reason: &str, merchant: &str, short_code: Option<&str>) -> String {
    match short_code {
        Some(code) if is_unregistered_code(reason) => format!(
            "the short code {code} is not registered: risiti-admin provider add --merchant \
             {merchant} --provider daraja --shortcode {code}"
        ),
        _ => reason.to_owned(),
    }
}

/// Whether the flag ends by itself once the short code is registered (protocol C12).
pub(crate) fn is_unregistered_code(reason: &str) -> bool {
    reason == SHORT_CODE_UNKNOWN
}

/// Whether the flag is about facts that two messages tell differently. A payment that may be a free
/// trial, say, is flagged without any.
pub(crate) fn is_contradiction(reason: &str) -> bool {
    [
        "a message came again",
        "another message names",
        "one message names",
    ]
    .iter()
    .any(|words| reason.starts_with(words))
}
