//! Money as exact decimals. No floating point exists here or anywhere near it.

use std::fmt;
use std::str::FromStr;

use rust_decimal::{Decimal, RoundingStrategy};

/// An amount of one currency, at two decimals, never negative.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Money {
    amount: Decimal,
    currency: Currency,
}

/// Three upper-case letters, as ISO 4217 writes them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency([u8; 3]);

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
/// Longer texts hold no amount below the limit that anyone would write.
const TEXT_MAX: usize = 64;

/// Reads a decimal from its own text, exponents included, and rounds half-up to two places.
///
/// Zero is accepted: an amount that rounds to 0.00 is recorded and owes nothing (protocol A8).
pub fn parse_amount(text: &str) -> Result<Decimal, AmountError> {
    let text = text.trim();
    if text.is_empty()
        || text.len() > TEXT_MAX
        || !text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b))
    {
        return Err(AmountError::NotANumber);
    }
    let exact =
        if text.contains(['e', 'E']) { Decimal::from_scientific(text) } else { Decimal::from_str(text) };
    let exact = exact.map_err(|_| AmountError::NotANumber)?;
    if exact.is_sign_negative() && !exact.is_zero() {
        return Err(AmountError::Negative);
    }
    let mut rounded = exact.abs().round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
    if rounded >= Decimal::from(LIMIT) {
        return Err(AmountError::TooLarge);
    }
    rounded.rescale(2);
    Ok(rounded)
}

impl Money {
    /// Rounds half-up to two places.
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

    /// Whole subunits, as Paystack and Gumroad count (cents, kobo).
    pub fn from_subunits(subunits: Decimal, currency: Currency) -> Result<Self, AmountError> {
        let amount = subunits.checked_div(Decimal::ONE_HUNDRED).ok_or(AmountError::TooLarge)?;
        Self::new(amount, currency)
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
        // Only ASCII letters get in through `from_str` and the constants.
        std::str::from_utf8(&self.0).unwrap_or("???")
    }
}

impl FromStr for Currency {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.as_bytes() {
            [a, b, c] if text.bytes().all(|b| b.is_ascii_alphabetic()) => {
                Ok(Self([a.to_ascii_uppercase(), b.to_ascii_uppercase(), c.to_ascii_uppercase()]))
            }
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
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn amounts_as_providers_write_them() {
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
        ] {
            assert_eq!(parse_amount(text).map(|d| d.to_string()), Ok(expected.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn amounts_that_are_none() {
        for (text, expected) in [
            ("", AmountError::NotANumber),
            ("ten", AmountError::NotANumber),
            ("1,000", AmountError::NotANumber),
            ("1_000", AmountError::NotANumber),
            ("0x10", AmountError::NotANumber),
            ("NaN", AmountError::NotANumber),
            ("1e", AmountError::NotANumber),
            ("-1", AmountError::Negative),
            ("1000000000000", AmountError::TooLarge),
            ("999999999999.995", AmountError::TooLarge),
        ] {
            assert_eq!(parse_amount(text), Err(expected), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn cents_survive_exactly(cents in 0u64..100_000_000_000_000) {
            let text = format!("{}.{:02}", cents / 100, cents % 100);
            prop_assert_eq!(parse_amount(&text).unwrap().to_string(), text);
        }

        #[test]
        fn any_text_is_answered(text in ".*") {
            let _ = parse_amount(&text);
        }
    }
}
