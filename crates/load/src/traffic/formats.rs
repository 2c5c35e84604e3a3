//! The many formats in which gateways write amounts, phone numbers and times.

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use rust_decimal::Decimal;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::draw::Draw;
use crate::fault_script::refused_amount;

/// A phone number as it is sent, and as it must be stored.
pub(crate) struct Phone {
    /// The field's JSON. The field is left out where this is none.
    pub(crate) sent: Option<String>,
    /// No number may be stored where this is none.
    pub(crate) stored: Option<String>,
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// A Kenyan mobile number of twelve digits.
pub(crate) fn phone_number(draw: &mut Draw) -> String {
    let prefix = draw.weighted(&[(6, "2547"), (1, "2541")]);
    format!("{prefix}{:08}", draw.number(0..=99_999_999))
}

/// The phone of an STK callback. Mostly it is a number, sometimes text, sometimes absent.
pub(crate) fn stk_phone(draw: &mut Draw, full: &str) -> Phone {
    let national = &full[3..];
    let complete = |sent: String| Phone {
        sent: Some(sent),
        stored: Some(full.to_owned()),
    };
    let incomplete = |sent: String| Phone {
        sent: Some(sent),
        stored: None,
    };

    if draw.percent(60) {
        return complete(full.to_owned());
    }
    match draw.below(13) {
        0 => complete(quoted(full)),
        1 => complete(quoted(&format!("0{national}"))),
        2 => complete(quoted(&format!("+{full}"))),
        3 => {
            let (prefix, rest) = national.split_at(3);
            complete(quoted(&format!("+254 {prefix} {rest}")))
        }
        4 => {
            let (prefix, rest) = national.split_at(3);
            let (middle, end) = rest.split_at(3);
            complete(quoted(&format!("0{prefix}-{middle}-{end}")))
        }
        5 => complete(format!("{full}.0")),
        6 => complete(format!("{}.{}E11", &full[..1], &full[1..])),
        7 => complete(national.to_owned()),
        8 => complete(quoted(&format!("  {full} "))),
        9 => {
            let masked = format!("0{}XXXX{}", &national[..3], &national[7..]);
            Phone {
                sent: Some(quoted(&masked)),
                stored: Some(masked),
            }
        }
        10 => incomplete(quoted(&full[..9])),
        11 => incomplete(quoted("unknown")),
        _ => Phone {
            sent: None,
            stored: None,
        },
    }
}

/// The phone of a C2B confirmation. It is text: hashed (v1), masked (v2) or plain (old traffic).
pub(crate) fn c2b_phone(draw: &mut Draw, full: &str) -> Phone {
    let text = match draw.below(5) {
        0 => full.to_owned(),
        1 | 2 => sha256(full),
        3 => format!("{} ***** {}", &full[..4], &full[9..]),
        _ => String::new(),
    };
    Phone {
        sent: Some(quoted(&text)),
        stored: Some(text).filter(|text| !text.is_empty()),
    }
}

fn sha256(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

/// An amount in shillings, mostly whole. One in a hundred is the amount that the fault script makes
/// the tax authority refuse.
pub(crate) fn shillings(draw: &mut Draw) -> Decimal {
    match draw.below(100) {
        0 => refused_amount(),
        1..=74 => Decimal::from(draw.number(1..=400) * 10),
        75..=89 => Decimal::from(draw.number(1..=150_000)),
        _ => Decimal::new(draw.number(100..=9_999_999) as i64, 2),
    }
}

/// The amount as decimal text, such as `1160`, `1160.0` or `1160.00`.
pub(crate) fn amount(draw: &mut Draw, amount: Decimal) -> String {
    let shortest = amount.normalize();
    let places = shortest.scale().max(draw.below(3) as u32);
    format!("{shortest:.*}", places as usize)
}

/// The amount as a JSON number, or now and then as text.
pub(crate) fn json_amount(draw: &mut Draw, value: Decimal) -> String {
    let text = amount(draw, value);
    if draw.percent(8) { quoted(&text) } else { text }
}

/// The amount in hundredths: 1160.50 is 116050.
pub(crate) fn subunits(amount: Decimal) -> String {
    (amount * Decimal::ONE_HUNDRED).normalize().to_string()
}

/// The time in Nairobi as yyyyMMddHHmmss, which is Daraja's format.
pub(crate) fn nairobi(at: Timestamp) -> String {
    at.to_zoned(TimeZone::fixed(Offset::constant(3)))
        .strftime("%Y%m%d%H%M%S")
        .to_string()
}

/// The time in UTC as ISO 8601 with milliseconds, which is Paystack's format.
pub(crate) fn utc(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_format_of_an_amount_has_its_value() {
        let mut draw = Draw::new(3, 0);
        for _ in 0..2000 {
            let value = shillings(&mut draw);
            assert!(value > Decimal::ZERO && value.scale() <= 2, "{value}");
            let text = amount(&mut draw, value);
            assert_eq!(text.parse::<Decimal>().unwrap(), value, "{text}");
            assert!(
                text.bytes().all(|b| b.is_ascii_digit() || b == b'.'),
                "{text}"
            );
        }
        assert_eq!(subunits("1160.50".parse().unwrap()), "116050");
        assert_eq!(subunits("10".parse().unwrap()), "1000");
    }

    #[test]
    fn phones_are_json_and_stored_whole_or_masked() {
        let mut draw = Draw::new(4, 0);
        let mut written = BTreeSet::new();
        for _ in 0..500 {
            let phone = stk_phone(&mut draw, "254712345678");
            if let Some(sent) = &phone.sent {
                serde_json::from_str::<Value>(sent).unwrap();
                written.insert(sent.clone());
            }
            assert!(
                phone
                    .stored
                    .is_none_or(|stored| stored == "254712345678" || stored == "0712XXXX78")
            );
        }
        assert_eq!(written.len(), 13);
        assert_eq!(phone_number(&mut draw).len(), 12);
    }

    #[test]
    fn phone_hash_is_the_one_safaricom_sends() {
        assert_eq!(
            sha256("254708374149"),
            "bbff37cea44ac0b2d964ee0dfb8d2df8513dc7ba1b36129a929fc3fbd6dd4af4"
        );
    }

    #[test]
    fn times_have_the_gateways_formats() {
        let at: Timestamp = "2026-09-28T07:15:29Z".parse().unwrap();
        assert_eq!(nairobi(at), "20260928101529");
        assert_eq!(utc(at), "2026-09-28T07:15:29.000Z");
    }
}
