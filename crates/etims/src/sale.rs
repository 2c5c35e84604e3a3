//! Reading the answer to a sale or credit note.

use crate::answer::Answer;
use crate::classify::{self, Class};
use crate::envelope::Envelope;
use crate::http::HttpAnswer;
use crate::outcome::SendOutcome;
use crate::profile::DeviceProfile;
use crate::receipt::Receipt;

/// Reads any bytes into an outcome. `Ok` needs a success code, a receipt number, and a status that
/// does not contradict them.
pub(crate) fn read(profile: &DeviceProfile, http: &HttpAnswer, invoice_no: i64) -> SendOutcome {
    let envelope = Envelope::read(http.status, &http.body);
    if let Some(envelope) = envelope
        .as_ref()
        .filter(|envelope| envelope.succeeded() && (200..300).contains(&http.status))
        && let Some(receipt) = envelope
            .data
            .as_ref()
            .and_then(|data| Receipt::read(profile, data))
    {
        return SendOutcome::Ok(receipt);
    }

    let class = classify::of_answer(profile, http, envelope.as_ref(), invoice_no);
    let answer = Answer::judged(&profile.secrets(), http, envelope.as_ref(), class);
    match class {
        // The refusal of a server that fails is not reliable.
        Class::Refused { vague } => SendOutcome::Refused {
            answer,
            look_up_first: vague || http.status >= 500,
        },
        Class::Retry { .. } => SendOutcome::Retry(answer),
        Class::Unknown { .. } => SendOutcome::Unknown(answer),
        Class::Taken => SendOutcome::Taken(answer),
        // Nor is its word about the number.
        Class::OutOfStep(_) if http.status >= 500 => SendOutcome::Unknown(answer),
        Class::OutOfStep(expected) => SendOutcome::OutOfStep { expected, answer },
        Class::Halt(reason) | Class::HostHalt(reason) => SendOutcome::Halt { reason, answer },
    }
}

#[cfg(test)]
mod tests;
