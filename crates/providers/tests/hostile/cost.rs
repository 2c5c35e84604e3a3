//! Bodies that are made to be expensive. Reading one must cost memory in proportion to its size.
//! Nothing here is timed: the tests count what the allocator hands out.

use risiti_providers::{BodyFormat, Channel};

use crate::guarantees::check;

/// A quarter of ingress's default limit. It is enough to tell linear growth from quadratic.
const LIMIT: usize = 64 * 1024;

/// `before`, then `unit` as often as it fits into the limit, then `after`.
fn filled(before: &str, unit: &str, after: &str) -> String {
    let times = (LIMIT - before.len() - after.len()) / unit.len();
    format!("{before}{}{after}", unit.repeat(times))
}

fn costly() -> Vec<(Channel, BodyFormat, String)> {
    let half = "a".repeat(LIMIT / 2);
    let pairs = |channel, open: &str, unit: &str, close: &str| {
        (channel, BodyFormat::Json, filled(open, unit, close))
    };
    let stk = r#"{"Body":{"stkCallback":{"CheckoutRequestID":"w","ResultCode":0,"CallbackMetadata":{"Item":["#;
    let result =
        r#"{"Result":{"ResultCode":0,"ConversationID":"A","ResultParameters":{"ResultParameter":["#;
    let mut all = vec![
        pairs(
            Channel::DarajaStk,
            stk,
            r#"{"Name":"Amount","Value":1},"#,
            "{}]}}}}",
        ),
        pairs(
            Channel::DarajaStk,
            stk,
            r#"{"Name":"Amount","Value":1,"Value":2},"#,
            "{}]}}}}",
        ),
        pairs(Channel::DarajaStk, stk, "{},", "{}]}}}}"),
        pairs(Channel::DarajaStk, stk, "0,", "0]}}}}"),
        pairs(
            Channel::DarajaResult,
            result,
            r#"{"Key":"TransactionStatus"},"#,
            "{}]}}}",
        ),
        pairs(
            Channel::DarajaResult,
            result,
            r#"{"Key":"a","Key":"a"},"#,
            "{}]}}}",
        ),
        pairs(Channel::DarajaTimeout, "[", r#""InitiatorName=","#, "0]"),
        pairs(
            Channel::DarajaTimeout,
            "{",
            r#""InitiatorName":1,"#,
            r#""a":1}"#,
        ),
        pairs(
            Channel::DarajaTimeout,
            &"[".repeat(63),
            "0,",
            &format!("0{}", "]".repeat(63)),
        ),
        pairs(
            Channel::DarajaTimeout,
            &r#"{"a":"#.repeat(63),
            r#"{"":0}"#,
            "",
        ),
        pairs(
            Channel::Gumroad,
            &format!(r#"{{"{half}":{{"#),
            r#""":0,"#,
            r#""":0}}"#,
        ),
        pairs(Channel::Gumroad, "{", r#""":{"":0},"#, r#""":0}"#),
    ];
    for channel in Channel::ALL {
        for (open, unit, close) in [
            ("{", r#""":0,"#, r#""":0}"#),
            ("{", r#""TransID":"\u0041","#, r#""TransID":"A"}"#),
            ("", "[", ""),
            ("", r#"{"":"#, ""),
            ("\"", "\\u0000", "\""),
            ("", "9", ""),
            (r#"{"TransID":"#, "9", "}"),
            (r#"{"resource_name":""#, "a", "\"}"),
        ] {
            all.push(pairs(*channel, open, unit, close));
        }
    }
    for unit in [
        "a=&",
        "&",
        "=",
        "%",
        "%00",
        "a",
        "price=1&",
        "sale_id=%ff&",
        "+",
    ] {
        all.push((
            Channel::Gumroad,
            BodyFormat::Form,
            filled("resource_name=sale&", unit, ""),
        ));
    }
    all
}

#[test]
fn memory_is_in_proportion_to_the_body() {
    for (channel, format, body) in costly() {
        assert!(body.len() <= LIMIT && body.len() > LIMIT / 2);
        if let Err(broken) = check(channel, format, body.as_bytes()) {
            panic!(
                "{channel} {}…: {broken}",
                body.chars().take(80).collect::<String>()
            );
        }
    }
}
