//! Any text in place of the amount, on every channel, compared with schoolbook arithmetic.

use proptest::prelude::*;
use risiti_domain::{parse_amount, parse_subunits};
use risiti_hostile::{Json, config, scalar};
use risiti_providers::{BodyFormat, Channel, parse};

use crate::{account, schoolbook};

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[+-]?[0-9]{0,14}(\\.[0-9]{0,6})?",
        2 => "[+-]?0{0,3}[0-9]{0,20}(\\.[0-9]{0,32})?([eE][+-]?[0-9]{1,3})?",
        // Values around half a hundredth, and around the end of the range.
        2 => "[0-9]{1,12}\\.[0-9][0-9](4999999|5|50000001|49|51)",
        1 => "99999999999[89](\\.99(4|5|49999|9)?)?",
        2 => scalar().prop_map(|json| json.text().unwrap_or_else(|| json.to_string())),
        1 => ".{0,70}",
    ]
}

/// A whole body of every channel with this amount, and by how many places its point moves.
fn bodies(amount: &Json) -> Vec<(Channel, BodyFormat, String, i64)> {
    let mut bodies = vec![
        (
            Channel::DarajaStk,
            BodyFormat::Json,
            format!(
                r#"{{"Body":{{"stkCallback":{{"CheckoutRequestID":"ws_CO_1","ResultCode":0,"CallbackMetadata":{{"Item":[{{"Name":"Amount","Value":{amount}}},{{"Name":"MpesaReceiptNumber","Value":"UIS1"}}]}}}}}}}}"#
            ),
            0,
        ),
        (
            Channel::DarajaC2bConfirmation,
            BodyFormat::Json,
            format!(r#"{{"TransID":"UIS1","BusinessShortCode":"600000","TransAmount":{amount}}}"#),
            0,
        ),
        (
            Channel::DarajaResult,
            BodyFormat::Json,
            format!(
                r#"{{"Result":{{"ResultCode":"0","ConversationID":"AG_1","ResultParameters":{{"ResultParameter":[{{"Key":"TransactionStatus","Value":"Completed"}},{{"Key":"ReceiptNo","Value":"UIS1"}},{{"Key":"Amount","Value":{amount}}},{{"Key":"CreditPartyName","Value":"600000 - EXAMPLE"}}]}}}}}}"#
            ),
            0,
        ),
        (
            Channel::Paystack,
            BodyFormat::Json,
            format!(
                r#"{{"event":"charge.success","data":{{"reference":"r","currency":"KES","amount":{amount}}}}}"#
            ),
            2,
        ),
        (
            Channel::Gumroad,
            BodyFormat::Json,
            format!(
                r#"{{"resource_name":"sale","seller_id":"kL0psVL2admJSYRNs-OCMg==","sale_id":"A","price":{amount}}}"#
            ),
            2,
        ),
    ];
    if let Some(price) = amount.text() {
        let fields = [
            ("resource_name", "sale"),
            ("seller_id", "kL0psVL2admJSYRNs-OCMg=="),
            ("sale_id", "A"),
            ("price", &price),
        ];
        bodies.push((
            Channel::Gumroad,
            BodyFormat::Form,
            serde_urlencoded::to_string(fields).unwrap(),
            2,
        ));
    }
    bodies
}

proptest! {
    #![proptest_config(config("amounts"))]

    #[test]
    fn any_amount_is_read_as_schoolbook_arithmetic_reads_it(text in texts(), as_number: bool) {
        for (places, read) in [(0, parse_amount(&text)), (2, parse_subunits(&text))] {
            let expected = schoolbook::amount(&text, places);
            prop_assert_eq!(read.ok().map(|read| read.to_string()), expected.ok(), "{}", &text);
        }
        let is_a_number = as_number && serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok();
        let amount = if is_a_number { Json::Leaf(text.clone()) } else { Json::quoted(&text) };
        let Some(text) = amount.text().filter(|text| !text.trim().is_empty()) else { return Ok(()) };
        for (channel, format, body, places) in bodies(&amount) {
            let read = parse(channel, format, body.as_bytes(), &account());
            let expected = schoolbook::amount(&text, places);
            match (read, expected) {
                (Ok(event), Ok(expected)) => {
                    prop_assert_eq!(event.facts.amount.map(|money| money.amount().to_string()), Some(expected.clone()));
                    prop_assert_eq!(event.facts.outcome == "succeeded", expected != "0.00");
                }
                (Err(why), Err(_)) => prop_assert!(why.problem.starts_with("is no amount"), "{why}"),
                (read, expected) => prop_assert!(false, "{channel} {body}: {read:?}, expected {expected:?}"),
            }
        }
    }
}
