//! Reading KRA's JSON: keys may end in blanks, numbers may be strings, and no number becomes a float.

use std::collections::BTreeMap;
use std::str::FromStr as _;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;
use serde_json::value::RawValue;

/// More digits than any field of KRA's has.
const NUMBER_CHARS_MAX: usize = 48;

/// One JSON object, its values still as text.
pub(crate) struct Fields<'a>(BTreeMap<String, &'a RawValue>);

impl<'a> Fields<'a> {
    /// `None` for anything but an object.
    pub(crate) fn read(json: &'a str) -> Option<Self> {
        serde_json::from_str(json).ok().map(Self)
    }

    /// A string or a number as text, trimmed; `None` when empty, null or something else.
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
        let text = self.text(key).filter(|text| text.len() <= NUMBER_CHARS_MAX)?;
        let number = if text.contains(['e', 'E']) {
            Decimal::from_scientific(&text)
        } else {
            Decimal::from_str(&text)
        };
        number.ok()
    }

    /// Whole numbers only; `1.0` is one.
    pub(crate) fn integer(&self, key: &str) -> Option<i64> {
        let number = self.decimal(key)?;
        if number.is_integer() { number.to_i64() } else { None }
    }

    pub(crate) fn fields(&self, key: &str) -> Option<Self> {
        Self::read(self.get(key)?.get())
    }

    /// The objects of a list; `None` when there is no list, or something else is in it.
    pub(crate) fn list(&self, key: &str) -> Option<Vec<Self>> {
        let items: Vec<&'a RawValue> = serde_json::from_str(self.get(key)?.get()).ok()?;
        items.into_iter().map(|item| Self::read(item.get())).collect()
    }

    /// The exact key wins over one with blanks around it.
    fn get(&self, key: &str) -> Option<&'a RawValue> {
        self.0
            .get(key)
            .or_else(|| self.0.iter().find(|(name, _)| name.trim() == key).map(|(_, value)| value))
            .copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_in_keys_and_numbers_in_strings() {
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
    fn only_objects_are_read() {
        for json in ["", "[]", "null", "1", "\"x\"", "{", "<html>", "{\"a\":1}x"] {
            assert!(Fields::read(json).is_none(), "{json:?}");
        }
        assert!(Fields::read(r#"{"list": [{}, 1]}"#).unwrap().list("list").is_none());
    }

    #[test]
    fn digits_without_end_are_no_number() {
        let json = format!(r#"{{"n": {}}}"#, "9".repeat(1000));
        assert_eq!(Fields::read(&json).unwrap().integer("n"), None);
    }
}
