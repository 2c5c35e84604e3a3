use proptest::prelude::*;
use risiti_domain::Dialect;
use serde_json::{Value, json};

use super::*;
use crate::profile::sample;

const VARIANTS: &str = include_str!("../../tests/facts/04_sales_response_variants.json");
const DUPLICATES: &str = include_str!("../../tests/facts/05_duplicate_responses.json");
const ERRORS: &str = include_str!("../../tests/facts/06_error_responses.json");

fn read_bytes(dialect: Dialect, status: u16, body: &[u8], invoice_no: i64) -> SendOutcome {
    let http = HttpAnswer {
        status,
        retry_after: None,
        body: body.to_vec(),
    };
    read(&sample(dialect), &http, invoice_no)
}

/// The answer to number 1, or to 7 where the case says so.
fn read_case(file: &str, name: &str) -> SendOutcome {
    let case = &serde_json::from_str::<Value>(file).unwrap()[name];
    let dialect = match name.split('_').next() {
        Some("gateway") => Dialect::Gateway,
        Some("vscu") => Dialect::Vscu,
        _ => Dialect::Legacy,
    };
    let status = case["http_status"].as_u64().unwrap() as u16;
    let invoice_no = if name == "gateway_local_counter_ahead" {
        7
    } else {
        1
    };
    read_bytes(
        dialect,
        status,
        case["body"].to_string().as_bytes(),
        invoice_no,
    )
}

#[test]
fn every_success_of_the_facts_is_ok() {
    for name in [
        "gateway_wrapped",
        "legacy_padded_keys_as_in_spec_sample",
        "vscu_save_sales",
    ] {
        let SendOutcome::Ok(receipt) = read_case(VARIANTS, name) else {
            panic!("{name}")
        };
        assert_eq!(
            (receipt.receipt_no, receipt.total_receipt_no),
            (1, Some(1)),
            "{name}"
        );
        assert_eq!(
            receipt.signature.as_deref(),
            Some("ABCD2345EFGH67IJ"),
            "{name}"
        );
        assert_eq!(
            receipt.internal_data.as_deref(),
            Some("KLMN2345OPQR67STUV2345WXYZ"),
            "{name}"
        );
        assert_eq!(
            receipt.control_unit_id.as_deref(),
            Some("KRACU0100000001"),
            "{name}"
        );
        assert_eq!(
            receipt.issued_at,
            "2026-03-05T11:15:02Z".parse().ok(),
            "{name}"
        );
    }
}

#[test]
fn every_duplicate_of_the_facts_is_taken() {
    for name in [
        "legacy_994",
        "legacy_921",
        "gateway_already_taken_2026_09_text",
        "gateway_already_taken_2026_08_text",
        "vscu_899",
    ] {
        let outcome = read_case(DUPLICATES, name);
        assert!(
            matches!(outcome, SendOutcome::Taken(_)),
            "{name}: {outcome:?}"
        );
    }
    let drift = read_case(DUPLICATES, "gateway_local_counter_ahead");
    assert!(
        matches!(
            drift,
            SendOutcome::OutOfStep {
                expected: Some(2),
                ..
            }
        ),
        "{drift:?}"
    );
}

#[test]
fn every_error_of_the_facts_has_its_outcome() {
    for (name, expected) in [
        ("gateway_wrong_tax_split", "refused"),
        ("gateway_wrong_pkg", "refused"),
        ("gateway_refusal_inside_http_200", "refused"),
        ("gateway_stock_missing", "retry"),
        ("gateway_token_invalid", "halt"),
        ("gateway_timeout", "unknown"),
        ("legacy_parameter_error", "refused"),
        ("legacy_device_not_valid", "halt"),
        ("legacy_init_again", "halt"),
        ("vscu_no_link_to_kra", "unknown"),
        ("legacy_unknown", "unknown"),
    ] {
        let outcome = read_case(ERRORS, name);
        assert_eq!(outcome.as_str(), expected, "{name}: {outcome:?}");
        assert!(!outcome.answer().unwrap().message.is_empty(), "{name}");
    }
}

#[test]
fn codes_and_messages_are_passed_on() {
    let SendOutcome::Refused {
        answer,
        look_up_first,
    } = read_case(ERRORS, "legacy_parameter_error")
    else {
        panic!()
    };
    assert!(!look_up_first);
    assert_eq!(answer.code.as_deref(), Some("910"));
    assert_eq!(
        answer.message,
        "Request parameter error[<modrId> : may not be empty]"
    );
    let wrapped = read_case(ERRORS, "gateway_refusal_inside_http_200");
    let answer = wrapped.answer().unwrap();
    assert_eq!(
        (answer.code.as_deref(), answer.http_status),
        (None, Some(200))
    );
    assert!(answer.message.starts_with("Rule taxRtB failed"), "{answer}");
}

#[test]
fn success_needs_a_number_and_refusal_a_healthy_server() {
    let success = |data: Value| json!({"resultCd": "000", "data": data}).to_string();
    for data in [
        json!(null),
        json!({}),
        json!({"curRcptNo": "0"}),
        json!({"totRcptNo": 1}),
        json!([1]),
    ] {
        let outcome = read_bytes(Dialect::Legacy, 200, success(data).as_bytes(), 1);
        assert!(matches!(outcome, SendOutcome::Unknown(_)), "{outcome:?}");
    }
    let accepted = success(json!({"curRcptNo": 1}));
    let outcome = read_bytes(Dialect::Legacy, 502, accepted.as_bytes(), 1);
    assert!(matches!(outcome, SendOutcome::Unknown(_)), "{outcome:?}");
    let outcome = read_bytes(Dialect::Legacy, 500, br#"{"resultCd":"910"}"#, 1);
    assert!(
        matches!(
            outcome,
            SendOutcome::Refused {
                look_up_first: true,
                ..
            }
        ),
        "{outcome:?}"
    );
}

#[test]
fn every_spelling_of_success_is_ok() {
    for code in [
        json!("000"),
        json!("0"),
        json!("00"),
        json!("0000"),
        json!(0),
        json!(" 000 "),
    ] {
        let body = json!({"resultCd": code, "data": {"curRcptNo": 3}}).to_string();
        let outcome = read_bytes(Dialect::Gateway, 200, body.as_bytes(), 1);
        assert!(matches!(outcome, SendOutcome::Ok(_)), "{body}: {outcome:?}");
    }
}

#[test]
fn echoed_credentials_are_hidden() {
    let body = br#"{"resultCd":"901","resultMsg":"the-cmc-key is not valid for 254708374149"}"#;
    let outcome = read_bytes(Dialect::Legacy, 200, body, 1);
    assert_eq!(outcome.answer().unwrap().message, "… is not valid for …");
}

/// Decides with another parser and other rules whether there is a success code and a receipt
/// number.
fn proves_acceptance(body: &[u8]) -> bool {
    fn member<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
        value
            .as_object()?
            .iter()
            .find(|(key, _)| key.trim() == name)
            .map(|(_, value)| value)
    }
    let text = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), |s| s.trim().to_owned())
    };
    let Ok(top) = serde_json::from_slice::<Value>(body) else {
        return false;
    };
    [Some(&top), member(&top, "responseBody")]
        .into_iter()
        .flatten()
        .any(|result| {
            let succeeded = member(result, "resultCd").is_some_and(|code| {
                let code = text(code);
                !code.is_empty() && code.len() <= 4 && code.bytes().all(|b| b == b'0')
            });
            let number = member(result, "data").is_some_and(|data| {
                ["curRcptNo", "rcptNo"].iter().any(|name| {
                    member(data, name).is_some_and(|value| {
                        text(value).parse::<f64>().is_ok_and(|number| number >= 1.0)
                    })
                })
            });
            succeeded && number
        })
}

/// Envelopes of the right shape with anything in them, mostly near misses.
fn hostile_envelope() -> impl Strategy<Value = Value> {
    let value = || {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-1i64..3).prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "(000|0|00|001|910|994|1|-1|0x1|1e400| 1 |1.5|.{0,4})".prop_map(Value::from),
            Just(json!([1])),
            Just(json!({"curRcptNo": 1})),
        ]
    };
    let result = (
        "resultCd ?",
        value(),
        "data ?",
        "(curRcptNo|rcptNo|totRcptNo) ?",
        value(),
        value(),
    );
    (result, 0..4).prop_map(
        |((code_key, code, data_key, number_key, number, other), shape)| {
            let result = json!({code_key: code, data_key: {number_key: number}});
            match shape {
                0 => result,
                1 => json!({"responseHeader": {"responseCode": other}, "responseBody": result}),
                2 => json!({"resultCd": other, "responseBody": result}),
                _ => json!({"data": result, "resultCd": other}),
            }
        },
    )
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_never_accepted(status in 0u16..700, body in any::<Vec<u8>>(), number in any::<i64>()) {
        for dialect in Dialect::ALL {
            let outcome = read_bytes(*dialect, status, &body, number);
            prop_assert!(!matches!(outcome, SendOutcome::Ok(_)));
        }
    }

    #[test]
    fn hostile_envelopes_are_never_accepted(status in 100u16..600, body in hostile_envelope(), number in any::<i64>()) {
        let body = body.to_string();
        for dialect in Dialect::ALL {
            if let SendOutcome::Ok(_) = read_bytes(*dialect, status, body.as_bytes(), number) {
                prop_assert!(proves_acceptance(body.as_bytes()), "{body}");
            }
        }
    }

    #[test]
    fn a_damaged_success_never_reads_as_another(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let body = include_bytes!("../../tests/facts/03_sales_response_success.json");
        let mut body = body.trim_ascii().to_vec();
        let at = at.index(body.len());
        let cut = read_bytes(Dialect::Legacy, 200, &body[..at], 1);
        prop_assert!(!matches!(cut, SendOutcome::Ok(_)));
        body[at] = byte;
        if let SendOutcome::Ok(_) = read_bytes(Dialect::Legacy, 200, &body, 1) {
            prop_assert!(proves_acceptance(&body));
        }
    }
}
