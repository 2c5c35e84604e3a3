//! Reading KRA's JSON. Keys may end in blanks, numbers may be strings, and no number becomes a
//! float.

use std::collections::BTreeMap;
use std::fmt;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// More digits than any field of KRA has.
const NUMBER_CHARS_MAX: usize = 48;

/// One JSON object, with its values still as text. A key that comes with two different values is
/// `None`.
pub(crate) struct Fields<'a>(BTreeMap<String, Option<&'a RawValue>>);

impl<'a> Fields<'a> {
    /// Reads an object. It is `None` for anything else.
    pub(crate) fn read(json: &'a str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    /// A string or a number as trimmed text. It is `None` when it is empty, null or something else.
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        let raw = self.get(key)?.get();
        let text = match raw.as_bytes().first()? {
            b'"' => serde_json::from_str::<String>(raw).ok()?.trim().to_owned(),
            b'-' | b'0'..=b'9' => raw.to_owned(),
            _ => return None,
        };
        (!text.is_empty()).then_some(text)
    }

    pub(crate) fn decimal(&self, key: &str) -> Option<Decimal> {
        let text = self
            .text(key)
            .filter(|text| text.len() <= NUMBER_CHARS_MAX)?;
        if !text
            .bytes()
            .all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b))
        {
            return None;
        }
        // A number of thirty digits cannot be KRA's. It must not be rounded to one that could.
        let Some((mantissa, _)) = text.split_once(['e', 'E']) else {
            return Decimal::from_str_exact(&text).ok();
        };
        Decimal::from_str_exact(mantissa)
            .and_then(|_| Decimal::from_scientific(&text))
            .ok()
    }

    /// A whole number. `1.0` counts as one.
    pub(crate) fn integer(&self, key: &str) -> Option<i64> {
        let number = self.decimal(key)?;
        if number.is_integer() {
            number.to_i64()
        } else {
            None
        }
    }

    pub(crate) fn fields(&self, key: &str) -> Option<Self> {
        Self::read(self.get(key)?.get())
    }

    /// The objects of a list. It is `None` when there is no list, or when it holds something else.
    pub(crate) fn list(&self, key: &str) -> Option<Vec<Self>> {
        let items: Vec<&'a RawValue> = serde_json::from_str(self.get(key)?.get()).ok()?;
        items
            .into_iter()
            .map(|item| Self::read(item.get()))
            .collect()
    }

    /// The exact key wins over keys with blanks around it. Those must agree with each other.
    fn get(&self, key: &str) -> Option<&'a RawValue> {
        if let Some(value) = self.0.get(key) {
            return *value;
        }
        let mut padded = self
            .0
            .iter()
            .filter(|(name, _)| name.trim() == key)
            .map(|(_, value)| *value);
        let first = padded.next()??;
        padded
            .all(|other| other.is_some_and(|other| other.get() == first.get()))
            .then_some(first)
    }
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields: BTreeMap<String, Option<&'de RawValue>> = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
                    let kept = fields.entry(name).or_insert(Some(value));
                    *kept = kept.filter(|kept| kept.get() == value.get());
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padded_keys_and_numbers_in_strings_are_read() {
        let json = r#"{"curRcptNo ": " 12 ", "totRcptNo": 13.0, "totAmt": "86.21", "big": 1e3, "null": null, "half": 1.5}"#;
        let fields = Fields::read(json).unwrap();
        assert_eq!(fields.integer("curRcptNo"), Some(12));
        assert_eq!(fields.integer("totRcptNo"), Some(13));
        assert_eq!(fields.integer("big"), Some(1000));
        assert_eq!(fields.integer("half"), None);
        assert_eq!(fields.decimal("totAmt"), Some(Decimal::new(8621, 2)));
        assert_eq!(fields.text("null"), None);
        assert_eq!(fields.text("missing"), None);
    }

    #[test]
    fn the_exact_key_wins_over_the_padded_one() {
        let fields = Fields::read(r#"{" a": 1, "a": 2, "a ": 3}"#).unwrap();
        assert_eq!(fields.integer("a"), Some(2));
    }

    #[test]
    fn a_key_with_two_values_has_none() {
        let fields =
            Fields::read(r#"{"a": 1, "a": 2, "b": 1, "b": 1, "c ": 1, " c": 2, "a": 1}"#).unwrap();
        assert_eq!(
            (
                fields.integer("a"),
                fields.integer("b"),
                fields.integer("c")
            ),
            (None, Some(1), None)
        );
    }

    #[test]
    fn numbers_are_exact_or_none() {
        let json = r#"{"near": 0.99999999999999999999999999999, "nearer": 1.00000000000000000000000000001e0, "gap": "1_0"}"#;
        let fields = Fields::read(json).unwrap();
        for name in ["near", "nearer", "gap"] {
            assert_eq!(fields.decimal(name), None, "{name}");
        }
    }

    #[test]
    fn only_objects_are_read() {
        for json in ["", "[]", "null", "1", "\"x\"", "{", "<html>", "{\"a\":1}x"] {
            assert!(Fields::read(json).is_none(), "{json:?}");
        }
        assert!(
            Fields::read(r#"{"list": [{}, 1]}"#)
                .unwrap()
                .list("list")
                .is_none()
        );
    }

    #[test]
    fn a_number_too_long_is_none() {
        let json = format!(r#"{{"n": {}}}"#, "9".repeat(1000));
        assert_eq!(Fields::read(&json).unwrap().integer("n"), None);
    }
}
