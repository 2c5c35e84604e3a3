use proptest::prelude::*;

use super::*;
use crate::profile::sample;

const DEVICE: Class = Class::Halt(HaltReason::Device);
const CREDENTIALS: Class = Class::Halt(HaltReason::Credentials);
const NO_ACCESS: Class = Class::HostHalt(HaltReason::Credentials);
const ADDRESS: Class = Class::HostHalt(HaltReason::Address);
const BUSY: Class = Class::Retry {
    against_host: true,
    halts_if_repeated: None,
};

#[test]
fn every_known_code_has_its_class() {
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
fn every_known_text_has_its_class() {
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
            "Invc No: 8 is invalid, use the expected value: 412",
            Class::Taken,
        ),
        (
            "Invc No: 8 is invalid, use the expected value: 2",
            Class::OutOfStep(Some(2)),
        ),
        (
            "Invalid invcNo sequence, expected: 2 but found: 8",
            Class::OutOfStep(Some(2)),
        ),
        (
            "Invalid invcNo sequence, expected: 8 but found: 8",
            Class::OutOfStep(Some(8)),
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
fn every_known_status_has_its_class() {
    for (statuses, class) in [
        (&[401, 403][..], NO_ACCESS),
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
    fn any_text_can_be_classified(text in any::<String>(), number in any::<i64>()) {
        let _ = of_text(&text, number);
    }

    #[test]
    fn every_number_below_the_expected_one_is_taken(number in 1i64..1_000_000, expected in 0i64..1_000_000) {
        let text = format!("Invc No: {number} is invalid, use the expected value: {expected}");
        let class = of_text(&text, number).unwrap();
        prop_assert_eq!(class == Class::Taken, expected > number);
    }
}

#[test]
fn a_number_too_long_is_not_expected() {
    let text = format!("use the expected value: {}", "9".repeat(40));
    assert_eq!(of_text(&text, 8), None);
    assert_eq!(
        of_text("use the expected value: 9", i64::MAX),
        Some(Class::OutOfStep(Some(9)))
    );
}

/// Words on no list, under a status that leaves its meaning to them.
#[test]
fn a_refusal_in_unlisted_words_waits_for_a_look_up() {
    let class = |status: u16, text: &str| {
        let body =
            format!(r#"{{"responseHeader":{{"responseCode":{status},"debugMessage":"{text}"}}}}"#);
        let http = HttpAnswer {
            status,
            body: body.into_bytes(),
            retry_after: None,
        };
        let envelope = Envelope::read(http.status, &http.body);
        of_answer(&sample(Dialect::Gateway), &http, envelope.as_ref(), 8)
    };
    let vague = Class::Refused { vague: true };
    for text in [
        "The maximum number of credit notes for this invoice has been reached",
        "Expected a value but found null. Possible cause: Cannot invoke getCustNm() is null",
        "Trader invoice number is already in use",
        "",
    ] {
        for status in [400, 409, 422] {
            assert_eq!(class(status, text), vague, "{status} {text}");
        }
        assert_eq!(class(500, text), HOST_TROUBLE, "{text}");
        assert_eq!(class(406, text), UNKNOWN, "{text}");
    }
    for text in [
        "invcNo 8 has been used",
        "duplicate key value violates unique constraint",
    ] {
        assert_eq!(class(400, text), Class::Taken, "{text}");
    }
    assert_eq!(
        class(400, "Please try again later"),
        of_text("Please try again later", 8).unwrap()
    );
}

/// A wrong number is the lane's trouble. As a refusal it would end each of its sales.
#[test]
fn a_parameter_error_of_the_number_is_out_of_step() {
    let class = |text: &str| {
        let body = format!(r#"{{"resultCd":"910","resultMsg":"{text}"}}"#);
        let http = HttpAnswer {
            status: 200,
            body: body.into_bytes(),
            retry_after: None,
        };
        let envelope = Envelope::read(http.status, &http.body);
        of_answer(&sample(Dialect::Legacy), &http, envelope.as_ref(), 8)
    };
    assert_eq!(
        class("Request parameter error[<invcNo> : expected 7]"),
        Class::OutOfStep(Some(7))
    );
    assert_eq!(
        class("Request parameter error[<invcNo> : expected 9]"),
        Class::Taken
    );
    for text in [
        "Request parameter error[<invcNo> : may not be empty]",
        "INVCNO is not valid",
    ] {
        assert_eq!(class(text), Class::OutOfStep(None), "{text}");
    }
    for text in [
        "required: <itemClsCd> and <itemCd>",
        "Request parameter error[<orgInvcNo> : does not exist]",
        "Request parameter error[<trdInvcNo> : may not be empty]",
    ] {
        assert_eq!(class(text), REFUSED, "{text}");
    }
}
