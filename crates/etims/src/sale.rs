//! Reading the answer to a sale or credit note.

use crate::classify::{self, Class};
use crate::envelope::Envelope;
use crate::http::HttpAnswer;
use crate::outcome::{Answer, HaltReason, SendOutcome};
use crate::profile::DeviceProfile;
use crate::receipt::Receipt;

/// Any bytes get an outcome; `Ok` only those that say success and carry a receipt number.
pub(crate) fn read(profile: &DeviceProfile, http: &HttpAnswer, invoice_no: i64) -> SendOutcome {
    let envelope = Envelope::read(http.status, &http.body);
    if let Some(envelope) = envelope.as_ref().filter(|envelope| envelope.succeeded() && http.status < 500)
        && let Some(receipt) = envelope.data.as_ref().and_then(|data| Receipt::read(profile, data))
    {
        return SendOutcome::Ok(receipt);
    }
    let class = judge(profile, http, envelope.as_ref(), invoice_no);
    let answer = Answer::judged(&profile.secrets(), http, envelope.as_ref(), class);
    match class {
        // A refusal by a server in trouble is not to be relied on.
        Class::Refused { vague } => {
            SendOutcome::Refused { answer, look_up_first: vague || http.status >= 500 }
        }
        Class::Retry { .. } => SendOutcome::Retry(answer),
        Class::Unknown { .. } => SendOutcome::Unknown(answer),
        Class::Taken => SendOutcome::Taken(answer),
        Class::Expected(expected) => SendOutcome::Expected { expected, answer },
        Class::Halt(reason) => SendOutcome::Halt { reason, answer },
    }
}

/// The rule of facts §4.1: `resultCd`, else the inner status with its text, else the HTTP status.
pub(crate) fn judge(
    profile: &DeviceProfile,
    http: &HttpAnswer,
    envelope: Option<&Envelope<'_>>,
    invoice_no: i64,
) -> Class {
    let Some(envelope) = envelope else {
        return classify::of_status(http.status, false);
    };
    if let Some(code) = &envelope.code {
        return classify::of_code(profile.dialect, code);
    }
    if envelope.refuses_token(http.status) {
        return Class::Halt(HaltReason::Credentials);
    }
    let by_status = classify::of_status(envelope.status, true);
    match classify::of_text(&envelope.message, invoice_no) {
        Some(class @ Class::Halt(_)) => class,
        // Words settle what a plain 400 means; every other status speaks for itself.
        Some(class) if matches!(envelope.status, 400 | 409 | 422) => class,
        _ => by_status,
    }
}
