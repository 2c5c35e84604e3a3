//! What an answer to a sale means for the lane. The tables are KRA's result codes (OSCU
//! specification v2.0) and what integrators saw live in 2026, read together with protocol D7, D9 and D12.

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
const UNKNOWN: Class = Class::Unknown {
    against_host: false,
};
const HOST_TROUBLE: Class = Class::Unknown { against_host: true };
const RETRY: Class = Class::Retry {
    against_host: false,
    halts_if_repeated: None,
};

/// By `resultCd`. Success is not judged here: it needs a receipt.
pub(crate) fn of_code(dialect: Dialect, code: &str) -> Class {
    match code {
        "891" | "892" | "893" | "895" | "910" | "911" | "912" | "913" | "995" => REFUSED,
        "896" => Class::Refused { vague: true },
        "922" => RETRY,
        // Meant for look-ups; the nearest thing to a rate limit that KRA documents.
        "990" => Class::Retry {
            against_host: true,
            halts_if_repeated: None,
        },
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
        return Some(if Some(expected) == next {
            Class::Taken
        } else {
            Class::Expected(expected)
        });
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
    // A credit note is sent only once its sale is filed (protocol D2), so there is nothing to wait for.
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

/// By status, for answers without a code: the inner status where the envelope has one. `json` tells whether
/// the body was an envelope at all.
pub(crate) fn of_status(status: u16, json: bool) -> Class {
    match status {
        401 | 403 => Class::Halt(HaltReason::Credentials),
        404 | 405 | 415 => Class::Halt(HaltReason::Address),
        413 => REFUSED,
        429 => Class::Retry {
            against_host: true,
            halts_if_repeated: None,
        },
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
    let digits: String = after
        .trim_start()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DEVICE: Class = Class::Halt(HaltReason::Device);
    const CREDENTIALS: Class = Class::Halt(HaltReason::Credentials);
    const ADDRESS: Class = Class::Halt(HaltReason::Address);
    const BUSY: Class = Class::Retry {
        against_host: true,
        halts_if_repeated: None,
    };

    #[test]
    fn every_code_of_the_facts() {
        for (codes, class) in [
            (
                &[
                    "891", "892", "893", "895", "910", "911", "912", "913", "995",
                ][..],
                REFUSED,
            ),
            (&["896"], Class::Refused { vague: true }),
            (&["922"], RETRY),
            (&["990"], BUSY),
            (&["921", "994"], Class::Taken),
            (&["001", "000"], UNKNOWN),
            (&["900"], CREDENTIALS),
            (&["901", "902", "903", "905", "E04", "E11"], DEVICE),
            (&["894", "991", "992", "993", "999"], HOST_TROUBLE),
            (&["904", "914", "123", "E99", "", "null"], HOST_TROUBLE),
        ] {
            for code in codes {
                for dialect in Dialect::ALL {
                    assert_eq!(of_code(*dialect, code), class, "{dialect} {code}");
                }
            }
        }
        assert_eq!(of_code(Dialect::Legacy, "899"), UNKNOWN);
        assert_eq!(of_code(Dialect::Gateway, "899"), UNKNOWN);
        assert_eq!(of_code(Dialect::Vscu, "899"), Class::Taken);
    }

    #[test]
    fn every_text_of_the_facts() {
        let repeated = Class::Retry {
            against_host: false,
            halts_if_repeated: Some(HaltReason::Device),
        };
        for (text, class) in [
            (
                "Invc No: 8 is invalid, use the expected value: 9",
                Class::Taken,
            ),
            (
                "Invalid invcNo sequence, expected: 9 but found: 8",
                Class::Taken,
            ),
            (
                "Invc No: 8 is invalid, use the expected value: 2",
                Class::Expected(2),
            ),
            (
                "Invalid invcNo sequence, expected: 2 but found: 8",
                Class::Expected(2),
            ),
            (
                "Invalid invcNo sequence, expected: 8 but found: 8",
                Class::Expected(8),
            ),
            (
                "Invalid taxblAmt on item: 1. Expected: 86.21, But Found: 100.00",
                REFUSED,
            ),
            (
                "Rule taxRtB failed: Tax rate mismatch. Expected: 16.00, Found: 0.0",
                REFUSED,
            ),
            ("Invalid pkg for ItemList 1. Expected: 1, Found: 2", REFUSED),
            ("tin cannot be Null", REFUSED),
            ("Expected a value for itemNm on item: 1", REFUSED),
            ("Missing RfdDt Date", REFUSED),
            ("Missing Tin", REFUSED),
            (
                "Request parameter error[<modrId> : may not be empty]",
                REFUSED,
            ),
            ("required: <itemClsCd> and <itemCd>", REFUSED),
            ("Invalid RfdRsnCd", REFUSED),
            (
                "orgInvcNo does not exist. Please update the field and try again",
                REFUSED,
            ),
            (
                "Items provided under the itemList section do not exist in your stock.",
                RETRY,
            ),
            ("Update your stock master first", RETRY),
            ("Please try again later", repeated),
            (
                "Query did not return a unique result: 3 results were returned",
                DEVICE,
            ),
            ("apigee_app_id cannot be Null", CREDENTIALS),
        ] {
            assert_eq!(of_text(text, 8), Some(class), "{text}");
        }
        for text in [
            "",
            "Validation failed",
            "expected: 9",
            "use the expected value: KE1NTNO0000006",
        ] {
            assert_eq!(of_text(text, 8), None, "{text}");
        }
    }

    #[test]
    fn every_status_of_the_facts() {
        for (statuses, class) in [
            (&[401, 403][..], CREDENTIALS),
            (&[404, 405, 415], ADDRESS),
            (&[413], REFUSED),
            (&[429], BUSY),
            (
                &[
                    100, 200, 204, 301, 302, 307, 408, 425, 500, 502, 503, 504, 599,
                ],
                HOST_TROUBLE,
            ),
        ] {
            for status in statuses {
                assert_eq!(
                    of_status(*status, false),
                    class,
                    "{status} without an envelope"
                );
                assert_eq!(of_status(*status, true), class, "{status} in an envelope");
            }
        }
        assert_eq!(of_status(400, true), UNKNOWN);
        assert_eq!(of_status(400, false), HOST_TROUBLE);
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in any::<String>(), number in any::<i64>()) {
            let _ = of_text(&text, number);
        }

        #[test]
        fn only_the_next_number_reads_as_taken(number in 1i64..1_000_000, expected in 0i64..1_000_000) {
            let text = format!("Invc No: {number} is invalid, use the expected value: {expected}");
            let class = of_text(&text, number).unwrap();
            prop_assert_eq!(class == Class::Taken, expected == number + 1);
        }
    }

    #[test]
    fn numbers_without_end_are_no_expectation() {
        let text = format!("use the expected value: {}", "9".repeat(40));
        assert_eq!(of_text(&text, 8), None);
        assert_eq!(
            of_text("use the expected value: 9", i64::MAX),
            Some(Class::Expected(9))
        );
    }
}
