//! Message headers as anybody with access to the broker could set them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::select;
use risiti_hostile::config;
use risiti_providers::{Envelope, EnvelopeError, channel_of};
use serde_json::{Map, Value, json};

const NAMES: &[&str] = &[
    "event_id",
    "merchant_id",
    "channel",
    "format",
    "authenticated_by",
    "received_at",
    "kind",
    "delivery_key",
    "traceparent",
    "gumroad_seller_id",
    "paystack_live",
    "unreadable_field",
    "unreadable_problem",
    "",
    "Channel",
];

const VALUES: &[&str] = &[
    "01890a5d-ac96-774b-bcce-b302099a8057",
    "01890a5dac96774bbcceb302099a8057",
    "{01890a5d-ac96-774b-bcce-b302099a8057}",
    "00000000-0000-0000-0000-000000000000",
    "daraja_stk",
    "paystack",
    "gumroad",
    "json",
    "form",
    "path",
    "signature",
    "true",
    "false",
    "2026-09-28T07:15:31.123456789Z",
    "-009999-01-02T00:00:00Z",
    "9999-12-30T00:00:00Z",
    "2026-09-28T07:15:60Z",
    "hush4f",
    "254708374149",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "",
    " ",
    "\0",
];

/// The members that an envelope must have.
const REQUIRED: usize = 6;

fn valid_members() -> Map<String, Value> {
    let values = [0, 0, 4, 7, 9, 13];
    let pairs = NAMES[..REQUIRED].iter().zip(values);
    pairs
        .map(|(name, value)| ((*name).to_owned(), VALUES[value].into()))
        .collect()
}

fn headers(json: String) -> BTreeMap<String, String> {
    BTreeMap::from([("risiti-envelope".to_owned(), json)])
}

/// A value for a member: a text, or JSON of another type.
fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => select(VALUES).prop_map(Value::from),
        4 => ".{0,40}".prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => Just(json!([{}])),
    ]
}

proptest! {
    #![proptest_config(config("envelope"))]

    #[test]
    fn any_members_are_read_or_named_as_wrong(changes in proptest::collection::vec(
        (select(NAMES), values(), any::<bool>()), 0..6)
    ) {
        let mut members = valid_members();
        let whole = headers(Value::from(members.clone()).to_string());
        prop_assert!(Envelope::from_headers(&whole).is_ok());
        for (name, value, remove) in changes {
            if remove {
                members.remove(name);
            } else {
                members.insert(name.to_owned(), value);
            }
        }

        let headers = headers(Value::from(members.clone()).to_string());
        let is_given = |name: &str| members.get(name).is_some_and(|value| !value.is_null());
        match Envelope::from_headers(&headers) {
            Ok(envelope) => {
                let written = envelope.to_headers();
                prop_assert!(Envelope::from_headers(&written) == Ok(envelope.clone()));
                prop_assert!(channel_of(&headers) == Some(envelope.channel));
            }
            Err(EnvelopeError::Missing(name)) => prop_assert!(!is_given(name)),
            Err(EnvelopeError::Invalid(name)) => prop_assert!(is_given(name)),
            Err(error) => prop_assert_eq!(error, EnvelopeError::NotAnEnvelope),
        }
    }

    #[test]
    fn any_text_in_the_header_is_read_or_refused(text in ".{0,200}", cut in 0usize..600) {
        let whole = Value::from(valid_members()).to_string();
        let end = whole.len().min(cut);
        let damaged = format!("{}{text}{}", &whole[..end], &whole[end..]);
        for json in [text, damaged] {
            let headers = headers(json);
            let channel = channel_of(&headers);
            if let Ok(envelope) = Envelope::from_headers(&headers) {
                prop_assert_eq!(channel, Some(envelope.channel));
            }
        }
    }
}
