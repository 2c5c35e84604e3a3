//! Gumroad's forms with fields that are repeated, oddly encoded, encoded twice or cut off.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use risiti_hostile::{Body, config, scalar};
use risiti_providers::{BodyFormat, Channel, Outcome};

use crate::bodies::run;
use crate::guarantees::check;
use crate::{account, package};

pub(crate) fn fixtures() -> Vec<Vec<u8>> {
    let files = risiti_hostile::corpus(&package("fixtures/gumroad"));
    files
        .into_iter()
        .map(|(_, body)| body.trim_ascii().to_vec())
        .collect()
}

/// A second, independent reading of a form, by WHATWG's URL standard.
pub(crate) fn pairs(form: &[u8]) -> Vec<(String, String)> {
    let fields = form.split(|b| *b == b'&').filter(|field| !field.is_empty());
    let both = fields.map(|field| match field.iter().position(|b| *b == b'=') {
        Some(at) => (decoded(&field[..at]), decoded(&field[at + 1..])),
        None => (decoded(field), String::new()),
    });
    both.collect()
}

fn decoded(text: &[u8]) -> String {
    let nibble = |b: Option<&u8>| b.and_then(|b| char::from(*b).to_digit(16));
    let mut bytes = Vec::new();
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        let escaped = nibble(text.get(at + 1))
            .zip(nibble(text.get(at + 2)))
            .filter(|_| *byte == b'%');
        bytes.push(match (escaped, byte) {
            (Some((high, low)), _) => (high * 16 + low) as u8,
            (None, b'+') => b' ',
            (None, byte) => *byte,
        });
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[derive(Clone, Debug)]
enum Change {
    Set(Index, String),
    Remove(Index),
    Repeat(Index, Index, String),
    Exchange(Index, Index),
    Rename(Index, String),
}

#[derive(Clone, Copy, Debug)]
enum Encoding {
    Usual,
    EveryByte,
    Lower,
    Raw,
    Twice,
}

fn damaged() -> impl Strategy<Value = Body> {
    let text = || {
        prop_oneof![
            scalar().prop_map(|json| json.text().unwrap_or_else(|| json.to_string())),
            ".{0,12}"
        ]
    };
    let name = select(vec![
        "price",
        "seller_id",
        "resource_name",
        "sale_id",
        "test",
        "refunded",
        "Price",
        " price",
        "price[]",
        "price[0]",
        "price\0",
        "",
        "custom_fields[price]",
        "is_preorder_authorization",
        "gift_price",
        "is_gift_receiver_purchase",
        "order_number",
    ]);
    let change = prop_oneof![
        4 => (any::<Index>(), text()).prop_map(|(at, text)| Change::Set(at, text)),
        1 => any::<Index>().prop_map(Change::Remove),
        4 => (any::<Index>(), any::<Index>(), text()).prop_map(|(from, to, text)| Change::Repeat(from, to, text)),
        2 => any::<(Index, Index)>().prop_map(|(a, b)| Change::Exchange(a, b)),
        2 => (any::<Index>(), name).prop_map(|(at, name)| Change::Rename(at, name.to_owned())),
    ];
    let encoding = select(vec![
        Encoding::Usual,
        Encoding::Usual,
        Encoding::EveryByte,
        Encoding::Lower,
        Encoding::Raw,
        Encoding::Twice,
    ]);
    let whole: Vec<Vec<(String, String)>> = fixtures().iter().map(|form| pairs(form)).collect();
    (
        select(whole),
        proptest::collection::vec(change, 0..5),
        encoding,
    )
        .prop_map(|(mut fields, changes, encoding)| {
            changes
                .into_iter()
                .for_each(|change| apply(&mut fields, change));
            Body(encoded(&fields, encoding))
        })
}

fn apply(fields: &mut Vec<(String, String)>, change: Change) {
    if fields.is_empty() {
        return;
    }
    let end = fields.len();
    match change {
        Change::Set(at, text) => fields[at.index(end)].1 = text,
        Change::Remove(at) => drop(fields.remove(at.index(end))),
        Change::Repeat(from, to, text) => {
            fields.insert(to.index(end + 1), (fields[from.index(end)].0.clone(), text))
        }
        Change::Exchange(a, b) => fields.swap(a.index(end), b.index(end)),
        Change::Rename(at, name) => fields[at.index(end)].0 = name,
    }
}

fn encoded(fields: &[(String, String)], encoding: Encoding) -> Vec<u8> {
    let hex = |text: &str| {
        text.bytes()
            .map(|byte| format!("%{byte:02X}"))
            .collect::<String>()
    };
    let fields = fields.iter().map(|(name, value)| match encoding {
        Encoding::Usual => serde_urlencoded::to_string([(name, value)]).unwrap(),
        Encoding::EveryByte => format!("{}={}", hex(name), hex(value)),
        Encoding::Lower => format!("{}={}", hex(name).to_lowercase(), hex(value).to_lowercase()),
        Encoding::Raw => format!("{name}={value}"),
        Encoding::Twice => format!("{name}={}", hex(&hex(value))),
    });
    fields.collect::<Vec<_>>().join("&").into_bytes()
}

/// A form is paid only by the first field of each name, and by the last `resource_name`, which
/// Gumroad puts in after the seller's own fields. Other repeats, odd names and double escapes change
/// nothing.
fn is_paid_by_its_real_fields(form: &[u8]) -> Result<(), TestCaseError> {
    let read = check(Channel::Gumroad, BodyFormat::Form, form)?;
    let Ok(event) = read else { return Ok(()) };
    let Some(report) = event.body.payment() else {
        return Ok(());
    };
    if report.outcome != Outcome::Succeeded {
        return Ok(());
    }
    let fields = pairs(form);
    let values = |name: &'static str| {
        let named = fields.iter().filter(move |(known, _)| known == name);
        named.map(|(_, value)| value.trim().to_owned())
    };
    let first = |name: &'static str| values(name).next();
    prop_assert_eq!(values("resource_name").next_back(), Some("sale".to_owned()));
    prop_assert_eq!(first("seller_id"), account().gumroad_seller_id);
    prop_assert_eq!(first("sale_id"), report.money_key.clone());
    for unpaid in ["test", "is_preorder_authorization"] {
        prop_assert!(
            first(unpaid).is_none_or(|value| value != "1" && !value.eq_ignore_ascii_case("true"))
        );
    }
    Ok(())
}

#[test]
fn damaged_forms_are_paid_by_their_real_fields_only() {
    run("webhook-form", damaged(), |form| {
        is_paid_by_its_real_fields(&form.0)
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: config("webhook-form").cases / 10, ..config("webhook-form") })]

    #[test]
    fn second_reading_of_a_form_is_what_was_written(fields in proptest::collection::vec((".{1,8}", ".{0,8}"), 1..5)) {
        let form = serde_urlencoded::to_string(&fields).unwrap();
        prop_assert_eq!(pairs(form.as_bytes()), fields);
    }
}
