//! What an answer to a sale means for the lane. The tables are those of facts §5, §5.1 and §5.2, read
//! together with protocol D7, D9 and D12.

use risiti_domain::Dialect;

use crate::outcome::HaltReason;

/// An answer that is no success, judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// `vague`: look the number up before giving it back.
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
    Expected(i64),
    Halt(HaltReason),
}

const REFUSED: Class = Class::Refused { vague: false };
const UNKNOWN: Class = Class::Unknown { against_host: false };
const HOST_TROUBLE: Class = Class::Unknown { against_host: true };
const RETRY: Class = Class::Retry { against_host: false, halts_if_repeated: None };

/// By `resultCd`. Success is not judged here: it needs a receipt.
pub(crate) fn of_code(dialect: Dialect, code: &str) -> Class {
    match code {
        "891" | "892" | "893" | "895" | "910" | "911" | "912" | "913" | "995" => REFUSED,
        "896" => Class::Refused { vague: true },
        "922" => RETRY,
        // Meant for look-ups; the nearest thing to a rate limit that KRA documents.
        "990" => Class::Retry { against_host: true, halts_if_repeated: None },
        "921" | "994" => Class::Taken,
        // The JAR answers a resend like this, and bad credentials too: either way a person looks (D16).
        "899" if dialect == Dialect::Vscu => Class::Taken,
        // 001 is a look-up's answer; 000 gets here only without a receipt number.
        "899" | "000" | "00" | "0" | "0000" | "001" => UNKNOWN,
        "900" => Class::Halt(HaltReason::Credentials),
        "901" | "902" | "903" | "905" | "E04" | "E11" => Class::Halt(HaltReason::Device),
        // 894, 991, 992, 993, 999, and every code nobody told us of (protocol D12).
        _ => HOST_TROUBLE,
    }
}

/// By text, for answers without a code that are no server trouble. Which text means what was seen live on
/// the gateway, August to October 2026.
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
        let next = invoice_no.checked_add(1);
        return Some(if Some(expected) == next { Class::Taken } else { Class::Expected(expected) });
    }
    if says(&["do not exist in your stock", "stock master"]) {
        return Some(RETRY);
    }
    if says(&["please try again later"]) {
        let halts_if_repeated = Some(HaltReason::Device);
        return Some(Class::Retry { against_host: false, halts_if_repeated });
    }
    // A credit note is sent only once its sale is filed (protocol D2), so there is nothing to wait for.
    let refused = [
        "orginvcno does not exist",
        "invalid taxblamt",
        "tax rate mismatch",
        "invalid pkg",
        "cannot be null",
        "expected a value for",
        "missing rfddt",
        "invalid rfdrsncd",
    ];
    says(&refused).then_some(REFUSED)
}

/// By status, for answers without a code: the inner status where the envelope has one. `json` tells whether
/// the body was an envelope at all.
pub(crate) fn of_status(status: u16, json: bool) -> Class {
    match status {
        401 | 403 => Class::Halt(HaltReason::Credentials),
        404 | 405 | 415 => Class::Halt(HaltReason::Address),
        413 => REFUSED,
        429 => Class::Retry { against_host: true, halts_if_repeated: None },
        408 | 425 => HOST_TROUBLE,
        // A refusal in words nobody has listed. "Never assume": it is this invoice's trouble, no more.
        400..=499 if json => UNKNOWN,
        _ => HOST_TROUBLE,
    }
}

/// The number KRA wants instead, in both wordings seen.
fn expected_number(lower_case: &str) -> Option<i64> {
    let after = if lower_case.contains("invalid invcno sequence") {
        lower_case.split_once("expected:")?.1
    } else {
        lower_case.split_once("use the expected value:")?.1
    };
    let digits: String = after.trim_start().chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}
