//! Texts that go to KRA or come from it.

/// A longer phrase tells a person no more.
const MESSAGE_CHARS_MAX: usize = 300;
/// KRA's codes have three characters. This leaves room for strange ones.
const CODE_CHARS_MAX: usize = 16;

/// Cuts a text to the length of its field in characters, and turns control characters into blanks.
///
/// KRA does not say what it does with longer texts, so that they are never sent.
pub(crate) fn clip(text: &str, chars_max: usize) -> String {
    text.trim()
        .chars()
        .take(chars_max)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// Makes a text from outside safe to log and to store. The result is bounded and printable, and
/// holds no phone number and nothing that looks like a key.
pub(crate) fn message(text: &str) -> String {
    // Masking comes before the cut, because half a phone number does not look like one.
    let keyless = mask_runs(text.trim(), |c| c.is_ascii_alphanumeric(), is_key);
    let clean = mask_runs(&keyless, |c| c.is_ascii_digit(), is_phone);
    clean
        .chars()
        .take(MESSAGE_CHARS_MAX)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// Does the same, and hides the given secrets. Those shorter than four characters are ignored.
pub(crate) fn message_without(secrets: &[&str], text: &str) -> String {
    let long_enough = secrets.iter().filter(|secret| secret.len() >= 4);
    let text = long_enough.fold(text.to_owned(), |text, secret| text.replace(secret, "…"));
    message(&text)
}

/// Whether a text can be a document's number: one word with a digit in it that is no phone number, no
/// PIN and no key.
pub(crate) fn is_document_number(text: &str) -> bool {
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric());
    text.bytes().all(|b| b.is_ascii_graphic())
        && text.bytes().any(|b| b.is_ascii_digit())
        && message(text) == text
        && !words.any(is_pin)
}

/// Whether a word has the form of a taxpayer's PIN, such as P051234567X.
fn is_pin(word: &str) -> bool {
    match word.as_bytes() {
        [first, digits @ .., last] => {
            digits.len() == 9
                && first.is_ascii_alphabetic()
                && last.is_ascii_alphabetic()
                && digits.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    }
}

/// Cleans a result code in the same way, because anything may stand in its place.
pub(crate) fn code(text: &str) -> String {
    clip(&message(text), CODE_CHARS_MAX)
}

/// Replaces those runs of matching characters that are to be hidden.
fn mask_runs(text: &str, belongs: impl Fn(char) -> bool, hidden: impl Fn(&str) -> bool) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(&belongs) {
        let (before, run) = rest.split_at(start);
        let end = run.find(|c| !belongs(c)).unwrap_or(run.len());
        masked.push_str(before);
        masked.push_str(if hidden(&run[..end]) {
            "…"
        } else {
            &run[..end]
        });
        rest = &run[end..];
    }
    masked + rest
}

/// KRA's item codes have at most twenty characters. Its keys and tokens have more.
fn is_key(run: &str) -> bool {
    run.len() >= 24 && run.bytes().any(|b| b.is_ascii_digit())
}

fn is_phone(digits: &str) -> bool {
    let national = match digits.len() {
        12 => digits.strip_prefix("254"),
        10 => digits.strip_prefix('0'),
        9 => Some(digits),
        _ => None,
    };
    national.is_some_and(|n| n.starts_with(['1', '7']))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn clipping_counts_characters_not_bytes() {
        assert_eq!(
            clip("Kahawa ya Mlima Kenya é", 23),
            "Kahawa ya Mlima Kenya é"
        );
        assert_eq!(clip("ééé", 2), "éé");
        assert_eq!(clip(" a\u{0}b\nc ", 10), "a b c");
    }

    #[test]
    fn messages_hide_phones_and_keep_other_numbers() {
        assert_eq!(
            message("custMblNo 254708374149 or 0708374149, item 5059690800: Expected: 86.21\r\n"),
            "custMblNo … or …, item 5059690800: Expected: 86.21"
        );
    }

    #[test]
    fn codes_hide_phones_too() {
        assert_eq!(
            (code(" 910 "), code("254708374149"), code("E04")),
            ("910".into(), "…".into(), "E04".into())
        );
    }

    #[test]
    fn document_number_names_no_buyer() {
        for number in [
            "TILL-9",
            "TILL1-000001",
            "2026/00412",
            "9",
            "INV-2026000123",
        ] {
            assert!(is_document_number(number), "{number}");
        }
        for other in [
            "",
            "Wanjiru",
            "sold to 7",
            "254708374149",
            "tel:0708374149",
            "P051234567X",
            "A/P051234567X/1",
        ] {
            assert!(!is_document_number(other), "{other}");
        }
    }

    #[test]
    fn messages_hide_keys() {
        assert_eq!(
            message("cmcKey 0123456789ABCDEF0123456789ABCDEF01234567 is wrong for KE2NTNO0000001"),
            "cmcKey … is wrong for KE2NTNO0000001"
        );
        assert_eq!(
            message_without(&["hush-1", ""], "key hush-1 is wrong"),
            "key … is wrong"
        );
    }

    proptest! {
        #[test]
        fn any_message_is_bounded_and_printable(text in any::<String>()) {
            let clean = message(&text);
            prop_assert!(clean.chars().count() <= MESSAGE_CHARS_MAX);
            prop_assert!(!clean.contains(char::is_control));
        }
    }
}
