//! Any body gets an answer, and none is read as paid by accident.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use proptest::prelude::*;
use risiti_providers::{Account, BodyFormat, Channel, Event, Outcome, Unreadable, parse, redact};
use serde_json::{Value, json};

/// Bodies of real shape, as trees. Each that reports a payment reports a success.
fn shapes() -> Vec<(Channel, Value)> {
    let fixture = |file: &str| {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fixtures")
            .join(file);
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    };
    let ping = json!({
        "seller_id": "S", "sale_id": "FO8TXN==", "price": 2500, "order_number": 5, "resource_name": "sale",
        "sale_timestamp": "2026-09-28T08:14:05Z", "card": {"type": "visa"}, "refunded": "false",
    });
    vec![
        (
            Channel::DarajaStk,
            fixture("daraja/stk_success_int_amount.json"),
        ),
        (
            Channel::DarajaStk,
            fixture("daraja/stk_success_strings.json"),
        ),
        (
            Channel::DarajaStk,
            fixture("daraja/stk_cancelled_1032.json"),
        ),
        (
            Channel::DarajaC2bConfirmation,
            fixture("daraja/c2b_confirmation_v1.json"),
        ),
        (
            Channel::DarajaC2bValidation,
            fixture("daraja/c2b_validation.json"),
        ),
        (
            Channel::DarajaResult,
            fixture("daraja/transaction_status_result.json"),
        ),
        (
            Channel::DarajaResult,
            fixture("daraja/reversal_result_success.json"),
        ),
        (
            Channel::DarajaResult,
            fixture("daraja/b2c_result_success.json"),
        ),
        (
            Channel::DarajaTimeout,
            fixture("daraja/queue_timeout_echo.json"),
        ),
        (
            Channel::Paystack,
            fixture("paystack/charge.success_kes_mobile_money.json"),
        ),
        (Channel::Paystack, fixture("paystack/refund.processed.json")),
        (
            Channel::Paystack,
            fixture("paystack/charge.dispute.resolve.json"),
        ),
        (Channel::Gumroad, ping),
    ]
}

fn account() -> Account {
    Account {
        gumroad_seller_id: Some("S".to_owned()),
        paystack_live: Some(true),
    }
}

fn read(channel: Channel, body: &Value) -> Result<Event, Unreadable> {
    parse(
        channel,
        BodyFormat::Json,
        body.to_string().as_bytes(),
        &account(),
    )
}

fn is_paid(read: &Result<Event, Unreadable>) -> bool {
    let report = read.as_ref().ok().and_then(|event| event.body.payment());
    report.is_some_and(|report| report.outcome == Outcome::Succeeded)
}

/// Checks what holds for every event, whatever it was read from.
fn check_guarantees(read: &Result<Event, Unreadable>) -> Result<(), TestCaseError> {
    let Ok(event) = read else { return Ok(()) };
    let plain = |text: &str| !text.is_empty() && !text.contains(char::is_control);
    let bounded = |text: &str| plain(text) && text.chars().count() <= 128;
    prop_assert!(
        bounded(&event.kind) && plain(&event.delivery_key) && event.delivery_key.len() <= 2048
    );
    let _ = event.facts.digest();
    if let Some(report) = event.body.payment() {
        let texts = [
            &report.money_key,
            &report.checkout_id,
            &report.receipt,
            &report.short_code,
        ];
        prop_assert!(texts.into_iter().flatten().all(|text| bounded(text)));
        prop_assert!(report.money_key.is_some() || report.checkout_id.is_some());
        let tells_of_money = matches!(
            report.outcome,
            Outcome::Succeeded | Outcome::Unconfirmed { .. }
        );
        if tells_of_money {
            prop_assert!(report.money_key.is_some());
            prop_assert!(report.amount.is_some_and(|amount| !amount.is_zero()));
        }
    }
    if let Some(report) = event.body.reversal() {
        prop_assert!(bounded(&report.of_money_key) && report.keys().all(plain));
        prop_assert!(report.amount.is_none_or(|amount| !amount.is_zero()));
    }
    Ok(())
}

fn paths(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(members) => members
            .iter()
            .for_each(|(name, inner)| paths(inner, &format!("{at}/{name}"), found)),
        Value::Array(elements) => elements
            .iter()
            .enumerate()
            .for_each(|(i, inner)| paths(inner, &format!("{at}/{i}"), found)),
        _ => {}
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        ".{0,12}",
        "[0-9.eE+-]{0,20}",
        prop::sample::select(vec![
            "0",
            "",
            "null",
            "true",
            "a\0b",
            "1e99",
            "-1",
            "NaN",
            "success",
            "Completed"
        ])
        .prop_map(str::to_owned),
        Just("9".repeat(300)),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec![0, 1, 4999, 1032]).prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(text.clone(), inner, 0..4).prop_map(|members| members
                .into_iter()
                .collect::<serde_json::Map<_, _>>()
                .into()),
        ]
    })
}

/// For the fields that decide whether a body of this channel is paid: whether this value says so.
/// `None` for all other fields.
fn says_paid(channel: Channel, path: &str, value: &Value) -> Option<bool> {
    let text = value.as_str().map(str::trim);
    let zero = || value.as_i64() == Some(0) || text == Some("0");
    match (channel, path) {
        (Channel::DarajaStk, "/Body/stkCallback/ResultCode") => Some(zero()),
        (Channel::DarajaResult, "/Result/ResultCode") => Some(zero()),
        (Channel::DarajaResult, "/Result/ResultParameters/ResultParameter/8/Value") => {
            Some(text.is_some_and(|text| text.eq_ignore_ascii_case("completed")))
        }
        (Channel::Paystack, "/event") => Some(text == Some("charge.success")),
        (Channel::Paystack, "/data/status") => {
            Some(value.is_null() || text == Some("success") || text == Some(""))
        }
        (Channel::Gumroad, "/resource_name") => Some(text == Some("sale")),
        (Channel::Gumroad, "/seller_id") => Some(text == Some("S")),
        _ => None,
    }
}

#[test]
fn shapes_that_report_money_are_read_as_paid() {
    let paid = shapes()
        .iter()
        .filter(|(channel, body)| is_paid(&read(*channel, body)))
        .count();
    assert_eq!(paid, 6, "two STK, C2B, status, Paystack, Gumroad");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_json_in_any_position_is_not_paid_by_accident(
        (channel, mut body, path) in prop::sample::select(shapes()).prop_flat_map(|(channel, body)| {
            let mut found = Vec::new();
            paths(&body, "", &mut found);
            (Just(channel), Just(body), prop::sample::select(found))
        }),
        value in any_json(),
    ) {
        let was_paid = is_paid(&read(channel, &body));
        *body.pointer_mut(&path).unwrap() = value.clone();
        let read = read(channel, &body);
        check_guarantees(&read)?;
        prop_assert!(was_paid || !is_paid(&read) || says_paid(channel, &path, &value) == Some(true));
        if says_paid(channel, &path, &value) == Some(false) {
            prop_assert!(!is_paid(&read), "{path} = {value}");
        }
    }

    #[test]
    fn any_json_alone_is_never_paid(channel in prop::sample::select(Channel::ALL.to_vec()), body in any_json()) {
        let read = read(channel, &body);
        check_guarantees(&read)?;
        prop_assert!(!is_paid(&read));
    }

    #[test]
    fn any_bytes_are_never_paid(
        channel in prop::sample::select(Channel::ALL.to_vec()),
        format in prop::sample::select(vec![BodyFormat::Json, BodyFormat::Form]),
        body in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let read = parse(channel, format, &body, &account());
        check_guarantees(&read)?;
        prop_assert!(!is_paid(&read));
        prop_assert!(parse(channel, format, &redact(channel, &body), &account()).is_ok() == read.is_ok());
    }

    /// A body that was cut off is unreadable. One with a damaged byte still keeps the guarantees.
    #[test]
    fn cut_off_bodies_are_unreadable((channel, body) in prop::sample::select(shapes()), at in any::<prop::sample::Index>(), byte: u8) {
        let mut bytes = body.to_string().into_bytes();
        let at = at.index(bytes.len());
        prop_assert!(parse(channel, BodyFormat::Json, &bytes[..at], &account()).is_err());
        bytes[at] = byte;
        check_guarantees(&parse(channel, BodyFormat::Json, &bytes, &account()))?;
    }

    #[test]
    fn form_with_any_field_in_front_keeps_the_guarantees(name in "[a-z_]{0,12}", value in ".{0,20}") {
        let fields = [(name.as_str(), value.as_str()), ("seller_id", "S"), ("resource_name", "sale"), ("sale_id", "A"), ("price", "100")];
        let body = serde_urlencoded::to_string(fields).unwrap();
        let read = parse(Channel::Gumroad, BodyFormat::Form, body.as_bytes(), &account());
        check_guarantees(&read)?;
    }

    #[test]
    fn amounts_are_read_exactly(cents in 1u64..100_000_000_000_000, as_text: bool) {
        let major = format!("{}.{:02}", cents / 100, cents % 100);
        let quoted = |text: &str| if as_text { format!("\"{text}\"") } else { text.to_owned() };
        let [majors, subunits] = [quoted(&major), quoted(&cents.to_string())];
        let bodies = [
            (Channel::DarajaStk, format!(
                r#"{{"Body":{{"stkCallback":{{"CheckoutRequestID":"ws_CO_1","ResultCode":0,"CallbackMetadata":{{"Item":[{{"Name":"MpesaReceiptNumber","Value":"UIS1"}},{{"Name":"Amount","Value":{majors}}}]}}}}}}}}"#
            )),
            (Channel::DarajaC2bConfirmation,
                format!(r#"{{"TransID":"UIS1","BusinessShortCode":"600000","TransAmount":{majors}}}"#)),
            (Channel::Paystack, format!(
                r#"{{"event":"charge.success","data":{{"reference":"r","currency":"KES","amount":{subunits}}}}}"#
            )),
            (Channel::Gumroad,
                format!(r#"{{"resource_name":"sale","seller_id":"S","sale_id":"A","price":{subunits}}}"#)),
        ];
        for (channel, body) in bodies {
            let event = parse(channel, BodyFormat::Json, body.as_bytes(), &account()).unwrap();
            prop_assert_eq!(event.facts.amount.unwrap().amount().to_string(), major.as_str());
            prop_assert!(is_paid(&Ok(event)));
        }
    }
}
