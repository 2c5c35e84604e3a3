//! The bounds of identifiers, and the keys that are made of them.

use crate::Unreadable;

/// Length of the longest identifier, in characters (protocol A8).
const CHARACTERS_MAX: usize = 128;

/// Accepts text of at most 128 printable characters (protocol A8).
pub(crate) fn identifier(field: impl Into<String>, text: String) -> Result<String, Unreadable> {
    if text.chars().nth(CHARACTERS_MAX).is_some() {
        return Err(Unreadable::new(field, "is longer than 128 characters"));
    }
    if text.chars().all(is_printable) {
        Ok(text)
    } else {
        Err(Unreadable::new(
            field,
            "holds characters that cannot be printed",
        ))
    }
}

/// Refuses control characters, invisible characters and U+FFFD. Invisible ones would let two
/// different ids look alike. U+FFFD stands for bytes that were not UTF-8.
fn is_printable(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff0}'..='\u{ffff}' | '\u{e0000}'..='\u{e0fff}')
}

/// Joins the parts of a key by colons. A colon within a part is escaped, so that different parts
/// always make different keys.
pub(crate) fn key(parts: &[&str]) -> String {
    let colons = parts.len().saturating_sub(1);
    let length = parts.iter().map(|part| part.len()).sum::<usize>() + colons;
    let mut key = String::with_capacity(length);

    for (place, part) in parts.iter().enumerate() {
        if place > 0 {
            key.push(':');
        }
        for piece in part.split_inclusive(['%', ':']) {
            match piece.strip_suffix(['%', ':']) {
                Some(plain) if piece.ends_with('%') => key.extend([plain, "%25"]),
                Some(plain) => key.extend([plain, "%3A"]),
                None => key.push_str(piece),
            }
        }
    }
    key
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_short_printable_text_is_an_identifier() {
        for good in [
            "UIS4000001",
            "ref-with=odd.chars-01",
            "FO8TXN-dbxYaBdahG97Y-Q==",
            "INV 1003",
            "café",
        ] {
            assert_eq!(identifier("f", good.to_owned()), Ok(good.to_owned()));
        }
        assert!(identifier("f", "é".repeat(128)).is_ok());
        assert!(identifier("f", "é".repeat(129)).is_err());
        for bad in [
            "a\0b",
            "a\nb",
            "a\u{7f}",
            "a\u{200b}",
            "a\u{202e}b",
            "a\u{fffd}",
            "a\u{feff}",
        ] {
            let why = identifier("f", bad.to_owned()).unwrap_err();
            assert_eq!(
                why.to_string(),
                "f: holds characters that cannot be printed"
            );
        }
    }

    #[test]
    fn usual_identifiers_are_not_escaped_in_a_key() {
        assert_eq!(
            key(&["confirmation", "UIS4000001"]),
            "confirmation:UIS4000001"
        );
        assert_eq!(key(&["a:b", "c%"]), "a%3Ab:c%25");
    }

    proptest! {
        #[test]
        fn different_parts_make_different_keys(
            a in proptest::collection::vec("[a:%3A25]{0,4}", 1..4),
            b in proptest::collection::vec("[a:%3A25]{0,4}", 1..4),
        ) {
            let parts = |parts: &[String]| key(&parts.iter().map(String::as_str).collect::<Vec<_>>());
            prop_assert_eq!(a == b, parts(&a) == parts(&b));
        }
    }
}
