//! The many ways gateways write one amount, one phone number, one moment.

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use rust_decimal::Decimal;
use serde_json::Value;

use crate::draw::Draw;

/// A phone number as it is sent, and what must be stored of it.
pub(crate) struct Phone {
    /// JSON text; `None`: the field is left out.
    pub(crate) sent: Option<String>,
    /// `None`: no number may be stored.
    pub(crate) stored: Option<String>,
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// Twelve digits of a Kenyan mobile number.
pub(crate) fn phone_number(draw: &mut Draw) -> String {
    let prefix = draw.weighted(&[(6, "2547"), (1, "2541")]);
    format!("{prefix}{:08}", draw.number(0..=99_999_999))
}

/// Of an STK callback: a number mostly, sometimes in words, sometimes none.
pub(crate) fn stk_phone(draw: &mut Draw, full: &str) -> Phone {
    let national = &full[3..];
    let (sent, whole) = match draw.weighted(&[(60, 0), (40, 1)]) {
        0 => (full.to_owned(), true),
        _ => match draw.below(13) {
            0 => (quoted(full), true),
            1 => (quoted(&format!("0{national}")), true),
            2 => (quoted(&format!("+{full}")), true),
            3 => (
                quoted(&format!("+254 {} {}", &national[..3], &national[3..])),
                true,
            ),
            4 => (
                quoted(&format!(
                    "0{}-{}-{}",
                    &national[..3],
                    &national[3..6],
                    &national[6..]
                )),
                true,
            ),
            5 => (format!("{full}.0"), true),
            6 => (format!("{}.{}E11", &full[..1], &full[1..]), true),
            7 => (national.to_owned(), true),
            8 => (quoted(&format!("  {full} ")), true),
            9 => {
                let masked = format!("0{}XXXX{}", &national[..3], &national[7..]);
                return Phone {
                    sent: Some(quoted(&masked)),
                    stored: Some(masked),
                };
            }
            10 => (quoted(&full[..9]), false),
            11 => (quoted("unknown"), false),
            _ => {
                return Phone {
                    sent: None,
                    stored: None,
                };
            }
        },
    };
    Phone {
        sent: Some(sent),
        stored: whole.then(|| full.to_owned()),
    }
}

/// Of a C2B confirmation: hashed (v1), masked (v2) or plain (old traffic), always text.
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
    use sha2::{Digest as _, Sha256};
    hex::encode(Sha256::digest(text.as_bytes()))
}

/// Shillings, mostly whole. The amount that `trouble` makes the tax authority refuse turns up as well.
pub(crate) fn shillings(draw: &mut Draw) -> Decimal {
    match draw.below(100) {
        0 => crate::trouble::refused_amount(),
        1..=74 => Decimal::from(draw.number(1..=400) * 10),
        75..=89 => Decimal::from(draw.number(1..=150_000)),
        _ => Decimal::new(draw.number(100..=9_999_999) as i64, 2),
    }
}

/// Plain decimal text of the same amount: `1160`, `1160.0`, `1160.00`.
pub(crate) fn amount(draw: &mut Draw, amount: Decimal) -> String {
    let shortest = amount.normalize();
    let places = shortest.scale().max(draw.below(3) as u32);
    format!("{shortest:.*}", places as usize)
}

/// A JSON number, or now and then the same as text.
pub(crate) fn json_amount(draw: &mut Draw, value: Decimal) -> String {
    let text = amount(draw, value);
    if draw.percent(8) { quoted(&text) } else { text }
}

/// Hundredths as digits: 1160.50 is 116050.
pub(crate) fn subunits(amount: Decimal) -> String {
    (amount * Decimal::ONE_HUNDRED).normalize().to_string()
}

/// yyyyMMddHHmmss in Nairobi, as Daraja writes it.
pub(crate) fn nairobi(at: Timestamp) -> String {
    at.to_zoned(TimeZone::fixed(Offset::constant(3)))
        .strftime("%Y%m%d%H%M%S")
        .to_string()
}

/// ISO 8601 in UTC with milliseconds, as Paystack writes it.
pub(crate) fn utc(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_an_amount_is_the_amount() {
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
    fn phones_are_json_and_full_ones_have_twelve_digits() {
        let mut draw = Draw::new(4, 0);
        let mut spellings = std::collections::BTreeSet::new();
        for _ in 0..500 {
            let phone = stk_phone(&mut draw, "254712345678");
            if let Some(sent) = &phone.sent {
                serde_json::from_str::<Value>(sent).unwrap();
                spellings.insert(sent.clone());
            }
            assert!(
                phone
                    .stored
                    .is_none_or(|stored| stored == "254712345678" || stored == "0712XXXX78")
            );
        }
        assert_eq!(spellings.len(), 13);
        assert_eq!(phone_number(&mut draw).len(), 12);
    }

    #[test]
    fn the_hash_is_the_one_safaricom_sends() {
        assert_eq!(
            sha256("254708374149"),
            "bbff37cea44ac0b2d964ee0dfb8d2df8513dc7ba1b36129a929fc3fbd6dd4af4"
        );
    }

    #[test]
    fn moments() {
        let at: Timestamp = "2026-09-28T07:15:29Z".parse().unwrap();
        assert_eq!(nairobi(at), "20260928101529");
        assert_eq!(utc(at), "2026-09-28T07:15:29.000Z");
    }
}
