//! Money as exact decimals. No floating point is used for it anywhere.

use std::fmt;
use std::str::FromStr;

use rust_decimal::{Decimal, RoundingStrategy};

/// An amount of one currency with two decimals. It is never negative.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Money {
    amount: Decimal,
    currency: Currency,
}

/// A currency as three upper-case letters, as in ISO 4217.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency([u8; 3]);

/// A text or number that is not an amount of money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    #[error("not a decimal number")]
    NotANumber,
    #[error("negative")]
    Negative,
    #[error("10^12 or more")]
    TooLarge,
    #[error("not a currency of three letters")]
    Currency,
}

/// Amounts stay below this (protocol A8).
const LIMIT: u64 = 1_000_000_000_000;
/// Nobody writes an amount below the limit in a longer text.
const TEXT_MAX: usize = 64;
/// A number with more digits before the point is 10^12 or more. With at most this many digits, its
/// thousandths fit an `i64`.
const INTEGER_DIGITS_MAX: i32 = 12;
const CENTS_LIMIT: i64 = 100_000_000_000_000;

/// Reads a decimal from its own text, which may have an exponent, and rounds half-up to two places.
///
/// Zero is accepted, because an amount that rounds to 0.00 is recorded and owes nothing (protocol
/// A8).
pub fn parse_amount(text: &str) -> Result<Decimal, AmountError> {
    cents(text, 0).map(|cents| Decimal::new(cents, 2))
}

/// Reads an amount that is counted in hundredths into major units, rounding parts of a hundredth
/// half-up. Paystack and Gumroad count so (kobo, cents).
pub fn parse_subunits(text: &str) -> Result<Decimal, AmountError> {
    cents(text, 2).map(|cents| Decimal::new(cents, 2))
}

/// The number in `text` in whole hundredths, with its point moved `places` to the left.
///
/// Rounding half-up depends on the third decimal alone, so the text can be cut there whatever its
/// length. `Decimal` would round at its 28th digit first, and so round twice.
fn cents(text: &str, places: i32) -> Result<i64, AmountError> {
    let text = text.trim();
    if text.len() > TEXT_MAX {
        return Err(AmountError::NotANumber);
    }
    let (negative, unsigned) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };

    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let exponent = exponent
        .parse::<i16>()
        .map_err(|_| AmountError::NotANumber)?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(AmountError::NotANumber);
    }

    let significant = digits.trim_start_matches('0');
    if significant.is_empty() {
        return Ok(0);
    }
    if negative {
        return Err(AmountError::Negative);
    }

    // Where the decimal point stands, counted from the first significant digit.
    let length = |text: &str| i32::try_from(text.len()).map_err(|_| AmountError::NotANumber);
    let point =
        length(whole)? - (length(&digits)? - length(significant)?) + i32::from(exponent) - places;
    if point > INTEGER_DIGITS_MAX {
        return Err(AmountError::TooLarge);
    }
    // The third decimal is zero here, so the amount rounds to zero.
    let Ok(kept) = usize::try_from(point + 3) else {
        return Ok(0);
    };

    let thousandths = significant
        .bytes()
        .chain(std::iter::repeat(b'0'))
        .take(kept);
    let thousandths = thousandths.fold(0i64, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    let cents = (thousandths + 5) / 10;
    if cents >= CENTS_LIMIT {
        Err(AmountError::TooLarge)
    } else {
        Ok(cents)
    }
}

impl Money {
    /// Makes an amount, rounded half-up to two places.
    pub fn new(amount: Decimal, currency: Currency) -> Result<Self, AmountError> {
        if amount.is_sign_negative() && !amount.is_zero() {
            return Err(AmountError::Negative);
        }
        let mut amount = amount.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
        if amount >= Decimal::from(LIMIT) {
            return Err(AmountError::TooLarge);
        }
        amount.rescale(2);
        Ok(Self { amount, currency })
    }

    pub fn amount(&self) -> Decimal {
        self.amount
    }

    pub fn currency(&self) -> Currency {
        self.currency
    }

    pub fn is_zero(&self) -> bool {
        self.amount.is_zero()
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.currency, self.amount)
    }
}

impl Currency {
    pub const KES: Self = Self(*b"KES");
    pub const USD: Self = Self(*b"USD");

    pub fn as_str(&self) -> &str {
        // `from_str` and the constants allow only ASCII letters.
        std::str::from_utf8(&self.0).unwrap_or("???")
    }
}

impl FromStr for Currency {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.as_bytes() {
            [a, b, c] if text.bytes().all(|b| b.is_ascii_alphabetic()) => Ok(Self([
                a.to_ascii_uppercase(),
                b.to_ascii_uppercase(),
                c.to_ascii_uppercase(),
            ])),
            _ => Err(AmountError::Currency),
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_of_providers_are_read() {
        for (text, expected) in [
            ("1", "1.00"),
            ("1.0", "1.00"),
            ("1500.10", "1500.10"),
            ("1500.1", "1500.10"),
            (" 5.00 ", "5.00"),
            ("0.005", "0.01"),
            ("0.004", "0.00"),
            ("2.675", "2.68"),
            ("1e3", "1000.00"),
            ("1.5E2", "150.00"),
            ("999999999999.99", "999999999999.99"),
            ("0", "0.00"),
            ("-0.0", "0.00"),
            ("1e-400", "0.00"),
            ("0.0009e3", "0.90"),
            ("000000000000000000012.30", "12.30"),
            // A number of more than 28 digits is rounded once and not twice.
            ("0.0049999999999999999999999999999999", "0.00"),
        ] {
            assert_eq!(
                parse_amount(text).map(|d| d.to_string()),
                Ok(expected.to_owned()),
                "{text:?}"
            );
        }
    }

    #[test]
    fn subunits_become_major_units() {
        for (text, expected) in [
            ("150000", "1500.00"),
            ("150001", "1500.01"),
            ("5", "0.05"),
            ("0.5", "0.01"),
            ("150000.499", "1500.00"),
            ("1.5e3", "15.00"),
            ("99999999999999", "999999999999.99"),
        ] {
            assert_eq!(
                parse_subunits(text).map(|d| d.to_string()),
                Ok(expected.to_owned()),
                "{text:?}"
            );
        }
        assert_eq!(
            parse_subunits("100000000000000"),
            Err(AmountError::TooLarge)
        );
    }

    #[test]
    fn other_texts_are_no_amount() {
        for (text, expected) in [
            ("", AmountError::NotANumber),
            ("ten", AmountError::NotANumber),
            ("1,000", AmountError::NotANumber),
            ("1_000", AmountError::NotANumber),
            ("0x10", AmountError::NotANumber),
            ("NaN", AmountError::NotANumber),
            ("1e", AmountError::NotANumber),
            (".", AmountError::NotANumber),
            ("-", AmountError::NotANumber),
            ("1-2", AmountError::NotANumber),
            ("1.2.3", AmountError::NotANumber),
            ("--1", AmountError::NotANumber),
            ("1e99999", AmountError::NotANumber),
            ("-1", AmountError::Negative),
            ("-0.001", AmountError::Negative),
            ("1e400", AmountError::TooLarge),
            ("1000000000000", AmountError::TooLarge),
            ("999999999999.995", AmountError::TooLarge),
        ] {
            assert_eq!(parse_amount(text), Err(expected), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn cents_are_read_exactly(cents in 0u64..100_000_000_000_000) {
            let text = format!("{}.{:02}", cents / 100, cents % 100);
            prop_assert_eq!(parse_amount(&text).unwrap().to_string(), text);
        }

        #[test]
        fn any_text_can_be_read(text in ".*") {
            let _ = parse_amount(&text);
        }
    }
}
