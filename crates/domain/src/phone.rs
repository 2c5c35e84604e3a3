//! Phone numbers of payers, in one canonical form or as far as the provider shows them.

use std::fmt;

/// A phone number. `Debug` never prints it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Phone {
    /// Twelve digits without a plus, `2547…` or `2541…`. This is the form that KRA wants.
    Full(String),
    /// The provider hid part of the number. It is kept as it came.
    Masked(String),
    /// The SHA-256 of the full number in hex, whole or with its middle hidden. It is kept as it
    /// came.
    Hashed(String),
}

impl Phone {
    /// Reads any spelling that a provider is known to use. The result is `None` for anything that
    /// is not a Kenyan mobile number.
    ///
    /// No digit is ever added or dropped, so a number of another length or prefix is refused.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() > 128 || !text.is_ascii() {
            return None;
        }
        if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Some(Self::Hashed(text.to_owned()));
        }
        if text.contains('*') || text.contains(['X', 'x']) {
            return masked(text);
        }
        let digits = plain_digits(text)?;
        let national = match digits.len() {
            12 => digits.strip_prefix("254")?,
            10 => digits.strip_prefix('0')?,
            9 => &digits,
            _ => return None,
        };
        matches!(national.as_bytes()[0], b'7' | b'1').then(|| Self::Full(format!("254{national}")))
    }

    /// The twelve digits, if the whole number is known.
    pub fn full(&self) -> Option<&str> {
        match self {
            Self::Full(digits) => Some(digits),
            Self::Masked(_) | Self::Hashed(_) => None,
        }
    }

    /// The text to store.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Full(text) | Self::Masked(text) | Self::Hashed(text) => text,
        }
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Phone::Full(…)",
            Self::Masked(_) => "Phone::Masked(…)",
            Self::Hashed(_) => "Phone::Hashed(…)",
        })
    }
}

fn masked(text: &str) -> Option<Phone> {
    let hidden = |b: u8| matches!(b, b'*' | b'X' | b'x' | b' ');
    if !text
        .bytes()
        .all(|b| hidden(b) || b.is_ascii_hexdigit() || b == b'+')
    {
        return None;
    }
    let shown = text.bytes().filter(|b| !hidden(*b)).count();
    Some(if shown > 12 {
        Phone::Hashed(text.to_owned())
    } else {
        Phone::Masked(text.to_owned())
    })
}

/// The digits of a number that is written plainly, with separators, as a float, or in scientific
/// notation.
fn plain_digits(text: &str) -> Option<String> {
    // A country code follows a plus. Any other than 254 is another country's number.
    let text = match text.strip_prefix('+') {
        Some(international) if international.trim_start().starts_with("254") => international,
        Some(_) => return None,
        None => text,
    };
    if let Some((mantissa, exponent)) = text.split_once(['e', 'E']) {
        return scientific_digits(mantissa, exponent);
    }
    let whole = match text.split_once('.') {
        Some((whole, zeros)) if zeros.bytes().all(|b| b == b'0') => whole,
        Some(_) => return None,
        None => text,
    };
    // A hyphen between digits separates them. Before them it is a sign, and no phone number is
    // negative.
    if whole.starts_with('-') || whole.ends_with('-') {
        return None;
    }
    let digits: String = whole.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
    digits.bytes().all(|b| b.is_ascii_digit()).then_some(digits)
}

fn scientific_digits(mantissa: &str, exponent: &str) -> Option<String> {
    let exponent: usize = exponent
        .strip_prefix('+')
        .unwrap_or(exponent)
        .parse()
        .ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.len() != 1
        || exponent > 15
        || !(whole
            .bytes()
            .chain(fraction.bytes())
            .all(|b| b.is_ascii_digit()))
    {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    // With more fraction digits than the exponent it would not be an integer. Missing digits are
    // zeros.
    (fraction.len() <= exponent).then(|| format!("{whole}{fraction:0<exponent$}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_spelling_gives_the_same_number() {
        for text in [
            "0712345678",
            "+254712345678",
            "254712345678",
            "712345678",
            "0712-345-678",
            "0712 345 678",
            "+254 712 345678",
            "254712345678.0",
            "2.54712345678E11",
            "2.54712345678e+11",
        ] {
            assert_eq!(
                Phone::parse(text),
                Some(Phone::Full("254712345678".to_owned())),
                "{text:?}"
            );
        }
        assert_eq!(
            Phone::parse("0112345678").unwrap().full(),
            Some("254112345678")
        );
        assert_eq!(
            Phone::parse("112345678").unwrap().full(),
            Some("254112345678")
        );
    }

    #[test]
    fn masked_and_hashed_numbers_are_kept_as_they_came() {
        let hash = "bbff37cea44ac0b2d964ee0dfb8d2df8513dc7ba1b36129a929fc3fbd6dd4af4";
        let half = "bbff37cea44ac0b2d964ee0dfb8d2df851 ***** a1b36129a929fc3fbd6dd4af4";
        for text in ["2547 ***** 149", "25470****149", "0722XXXX89"] {
            assert_eq!(
                Phone::parse(text),
                Some(Phone::Masked(text.to_owned())),
                "{text:?}"
            );
        }
        assert_eq!(Phone::parse(hash), Some(Phone::Hashed(hash.to_owned())));
        assert_eq!(Phone::parse(half), Some(Phone::Hashed(half.to_owned())));
    }

    #[test]
    fn other_texts_are_no_number() {
        for text in [
            "",
            "0",
            "07123456",
            "07123456789",
            "0812345678",
            "+1 202 555 0100",
            "+712345678",
            "+0712345678",
            "+2.54712345678E11",
            "2547123456781",
            "255712345678",
            "254712345678.5",
            "2.547123456789E11",
            "2.5E999",
            "null",
            "07１２３４５６７８",
            "--",
            "-254712345678",
            "0712345678-",
            "٠٧١٢٣٤٥٦٧٨",
        ] {
            assert_eq!(Phone::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn debug_shows_no_digit() {
        for text in ["0712345678", "2547 ***** 149"] {
            assert!(!format!("{:?}", Phone::parse(text)).contains(|c: char| c.is_ascii_digit()));
        }
    }

    proptest! {
        #[test]
        fn full_number_has_twelve_digits(text in "[0-9+ .eE*-]{0,20}") {
            if let Some(Phone::Full(digits)) = Phone::parse(&text) {
                prop_assert_eq!(digits.len(), 12);
                prop_assert!(digits.starts_with("2547") || digits.starts_with("2541"));
            }
        }

        #[test]
        fn any_text_can_be_read(text in ".*") {
            let _ = Phone::parse(&text);
        }
    }
}
