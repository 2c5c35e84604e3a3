//! What an answer to a call means for the lane.
//!
//! The tables hold KRA's result codes (OSCU specification v2.0) and what integrators saw live in
//! 2026, read together with protocol D7, D9 and D12.

use std::fmt;

use risiti_domain::Dialect;

use crate::envelope::Envelope;
use crate::http::HttpAnswer;
use crate::profile::DeviceProfile;

/// The class of an answer that is not a success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// A `vague` refusal needs a look-up before the number is given back.
    Refused {
        vague: bool,
    },
    Retry {
        against_host: bool,
        halts_if_repeated: Option<HaltReason>,
    },
    Unknown {
        against_host: bool,
    },
    Taken,
    /// KRA's next number is not this one, and this one is not taken. KRA may name the number that
    /// it expects.
    OutOfStep(Option<i64>),
    Halt(HaltReason),
    /// As `Halt`, but only an HTTP status or an access token says so. A whole host may answer so to
    /// everybody for a while.
    HostHalt(HaltReason),
}

/// Why a lane has to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HaltReason {
    /// KRA refused the token, key, PIN or app, or our settings lack it.
    Credentials,
    /// KRA does not know the device as ours.
    Device,
    /// The address answers, but not as an eTIMS API.
    Address,
}

impl HaltReason {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Credentials => "credentials refused",
            Self::Device => "device not valid",
            Self::Address => "no eTIMS API at this address",
        }
    }
}

impl fmt::Display for HaltReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

const REFUSED: Class = Class::Refused { vague: false };
const UNKNOWN: Class = Class::Unknown {
    against_host: false,
};
const HOST_TROUBLE: Class = Class::Unknown { against_host: true };
const RETRY: Class = Class::Retry {
    against_host: false,
    halts_if_repeated: None,
};

/// Classifies an answer that is not a success.
///
/// The three dialects differ, so that the order matters. A `resultCd` decides first, then the inner
/// status with its text, then the HTTP status.
pub(crate) fn of_answer(
    profile: &DeviceProfile,
    http: &HttpAnswer,
    envelope: Option<&Envelope<'_>>,
    invoice_no: i64,
) -> Class {
    let Some(envelope) = envelope else {
        return of_status(http.status, false);
    };
    if let Some(code) = &envelope.code {
        // The field that the parameter error names is the number, so that the lane counts wrongly
        // and the invoice is not at fault. A number that is taken has codes of its own.
        if code == "910" && names_invoice_number(&envelope.message) {
            return of_expected(expected_number(&envelope.message), invoice_no);
        }
        return of_code(profile.dialect, code);
    }
    if envelope.refuses_token(http.status) {
        return Class::HostHalt(HaltReason::Credentials);
    }

    // Only a plain 400, 409 or 422 leaves its meaning to the text.
    let text_decides = matches!(envelope.status, 400 | 409 | 422);
    match of_text(&envelope.message, invoice_no) {
        Some(class @ Class::Halt(_)) => class,
        Some(class) if text_decides => class,
        None if text_decides => of_unlisted_text(&envelope.message),
        _ => of_status(envelope.status, true),
    }
}

/// Classifies a refusal in words that nobody has listed. About the number, they may say that it is
/// taken. All others refuse this invoice, once a look-up has shown that KRA does not have it
/// (protocol D10).
fn of_unlisted_text(text: &str) -> Class {
    let text_in_lower_case = text.to_ascii_lowercase();
    if names_invoice_number(text) || text_in_lower_case.contains("duplicate key") {
        Class::Taken
    } else {
        Class::Refused { vague: true }
    }
}

/// Classifies by `resultCd`. Success is not decided here, because it needs a receipt.
pub(crate) fn of_code(dialect: Dialect, code: &str) -> Class {
    match code {
        "891" | "892" | "893" | "895" | "910" | "911" | "912" | "913" | "995" => REFUSED,
        "896" => Class::Refused { vague: true },
        "922" => RETRY,
        // KRA documents it for look-ups. It is the nearest thing to a rate limit.
        "990" => Class::Retry {
            against_host: true,
            halts_if_repeated: None,
        },
        "921" | "994" => Class::Taken,
        // The JAR answers so to a resend and to bad credentials. A person looks in both cases
        // (D16).
        "899" if dialect == Dialect::Vscu => Class::Taken,
        // 001 answers look-ups. 000 gets here only without a receipt number.
        "899" | "000" | "00" | "0" | "0000" | "001" => UNKNOWN,
        "900" => Class::Halt(HaltReason::Credentials),
        "901" | "902" | "903" | "905" | "E04" | "E11" => Class::Halt(HaltReason::Device),
        // 894, 991, 992, 993, 999, and every code that no document lists (protocol D12).
        _ => HOST_TROUBLE,
    }
}

/// Classifies by text, for answers without a code that are no server error. The texts were seen
/// live on the gateway from August to October 2026.
pub(crate) fn of_text(text: &str, invoice_no: i64) -> Option<Class> {
    let text = text.to_ascii_lowercase();
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| text.contains(phrase));
    if says(&["query did not return a unique result"]) {
        return Some(Class::Halt(HaltReason::Device));
    }
    if says(&["apigee_app_id cannot be null"]) {
        return Some(Class::Halt(HaltReason::Credentials));
    }
    if let Some(expected) = expected_number(&text) {
        return Some(of_expected(Some(expected), invoice_no));
    }
    if says(&["do not exist in your stock", "stock master"]) {
        return Some(RETRY);
    }
    if says(&["please try again later"]) {
        let halts_if_repeated = Some(HaltReason::Device);
        return Some(Class::Retry {
            against_host: false,
            halts_if_repeated,
        });
    }
    // A credit note is sent only after its sale is filed (protocol D2), so that a missing original
    // is final as well.
    let refused = [
        "orginvcno does not exist",
        "invalid taxblamt",
        "tax rate mismatch",
        "invalid pkg",
        "cannot be null",
        "expected a value for",
        "missing ",
        "invalid rfdrsncd",
        "request parameter error",
        "required: ",
    ];
    says(&refused).then_some(REFUSED)
}

/// Whatever is below the number that KRA expects is taken (protocol D9).
fn of_expected(expected: Option<i64>, invoice_no: i64) -> Class {
    match expected {
        Some(expected) if expected > invoice_no => Class::Taken,
        expected => Class::OutOfStep(expected),
    }
}

/// Classifies by status, for answers without a code. The status is the inner one where the envelope
/// has one, and `json` says whether the body was an envelope at all.
pub(crate) fn of_status(status: u16, json: bool) -> Class {
    match status {
        401 | 403 => Class::HostHalt(HaltReason::Credentials),
        404 | 405 | 415 => Class::HostHalt(HaltReason::Address),
        413 => REFUSED,
        429 => Class::Retry {
            against_host: true,
            halts_if_repeated: None,
        },
        408 | 425 => HOST_TROUBLE,
        // A refusal in words that nobody has listed proves nothing about the host.
        400..=499 if json => UNKNOWN,
        _ => HOST_TROUBLE,
    }
}

/// Reads the number that KRA expects instead, in both wordings seen, or after the word in any other
/// text that names the field.
pub fn expected_number(text: &str) -> Option<i64> {
    let text = text.to_ascii_lowercase();
    let after = match text.split_once("use the expected value:") {
        Some((_, after)) => after,
        None if names_invoice_number(&text) => text.split_once("expected")?.1,
        None => return None,
    };
    let digits: String = after
        .trim_start_matches([' ', ':'])
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().ok()
}

/// Whether a text names the field `invcNo`, and not another whose name ends like it.
fn names_invoice_number(text: &str) -> bool {
    text.split(|character: char| !character.is_ascii_alphanumeric())
        .any(|word| word.eq_ignore_ascii_case("invcNo"))
}

#[cfg(test)]
mod tests;
