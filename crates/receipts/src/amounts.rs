//! Decimals: read from their own text, checked against each other, printed with two places.

use rust_decimal::{Decimal, RoundingStrategy};

use crate::error::ReceiptError;

/// Amounts of this program stay below 10^12 (protocol A8), and those of one digit more fit a roll.
const WHOLE_DIGITS_MAX: u32 = 13;
/// Longer than any amount of KRA's specification.
const TEXT_MAX: usize = 40;
/// Prices and quantities may be finer than a cent.
const FINE_PLACES_MAX: u32 = 6;

/// Reads a number from its JSON text, quoted or not. It must not be negative.
pub(crate) fn read_number(json: &str, field: &'static str) -> Result<Decimal, ReceiptError> {
    let refused = |problem| ReceiptError::RequestField { field, problem };
    let text = json.trim().trim_matches('"').trim();
    if text.len() > TEXT_MAX {
        return Err(refused("too long"));
    }
    let number = Decimal::from_str_exact(text).map_err(|_| refused("not a decimal number"))?;
    if number.is_sign_negative() && !number.is_zero() {
        return Err(refused("negative"));
    }
    if number >= Decimal::from(10u64.pow(WHOLE_DIGITS_MAX)) {
        return Err(refused("too large"));
    }
    let number = number.abs().normalize();
    if number.scale() > FINE_PLACES_MAX {
        return Err(refused("too fine"));
    }
    Ok(number)
}

/// Reads an amount of money, which has no parts of a cent.
pub(crate) fn read_money(json: &str, field: &'static str) -> Result<Decimal, ReceiptError> {
    let amount = read_number(json, field)?;
    if amount.scale() > 2 {
        return Err(ReceiptError::RequestField {
            field,
            problem: "finer than a cent",
        });
    }
    Ok(amount)
}

/// Reads a whole number.
pub(crate) fn read_count(json: &str, field: &'static str) -> Result<u64, ReceiptError> {
    let number = read_number(json, field)?;
    u64::try_from(number)
        .ok()
        .filter(|_| number.is_integer())
        .ok_or(ReceiptError::RequestField {
            field,
            problem: "not a whole number",
        })
}

/// Whether a price times a quantity is an amount, to the cent that rounding may move.
pub(crate) fn product_is(price: Decimal, quantity: Decimal, amount: Decimal) -> bool {
    let Some(product) = price.checked_mul(quantity) else {
        return false;
    };
    let rounded = product.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
    (rounded - amount).abs() <= Decimal::new(1, 2)
}

/// Prints `2900.00`, with a minus where it is negative. Nothing is never `-0.00`.
pub(crate) fn money(amount: Decimal) -> String {
    let amount = if amount.is_zero() {
        Decimal::ZERO
    } else {
        amount
    };
    format!("{amount:.2}")
}

/// Prints an amount that is taken off, in brackets: `(58.00)`. What a credit note gives back of it
/// stands without.
pub(crate) fn taken_off(amount: Decimal) -> String {
    if amount.is_sign_negative() {
        money(-amount)
    } else {
        format!("({})", money(amount))
    }
}

/// Prints a unit price: two places, and those beyond that it has.
pub(crate) fn unit_price(price: Decimal) -> String {
    let price = price.normalize();
    if price.scale() > 2 {
        price.to_string()
    } else {
        money(price)
    }
}

/// Prints a quantity, a rate or a percent without needless zeros.
pub(crate) fn plain(number: Decimal) -> String {
    number.normalize().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dec(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn numbers_are_read_from_their_digits() {
        for (json, number) in [
            ("1160", "1160"),
            ("86.21", "86.21"),
            ("\"86.20\"", "86.2"),
            ("0", "0"),
            ("-0", "0"),
            ("9999999999999.99", "9999999999999.99"),
        ] {
            assert_eq!(read_money(json, "x").unwrap(), dec(number), "{json}");
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for json in [
            "",
            "null",
            "true",
            "-1",
            "1e3",
            "0.001",
            "NaN",
            "10000000000000",
            "1,160",
            "\u{661}",
            "0.00000000000000000000000000001",
            "[1]",
        ] {
            assert!(read_money(json, "x").is_err(), "{json}");
        }
        assert!(read_count("1.5", "x").is_err());
    }

    #[test]
    fn amounts_print_two_places() {
        assert_eq!(money(dec("2900")), "2900.00");
        assert_eq!(money(dec("-1450")), "-1450.00");
        assert_eq!(money(-dec("0")), "0.00");
        assert_eq!(taken_off(dec("58")), "(58.00)");
        assert_eq!(taken_off(dec("-58")), "58.00");
        assert_eq!(unit_price(dec("33.3333")), "33.3333");
        assert_eq!(unit_price(dec("189.0")), "189.00");
        assert_eq!(plain(dec("2.00")), "2");
    }

    #[test]
    fn a_product_may_be_a_cent_off() {
        assert!(product_is(dec("33.33"), dec("3"), dec("99.99")));
        assert!(product_is(dec("33.335"), dec("1"), dec("33.34")));
        assert!(product_is(dec("33.33"), dec("3"), dec("100.00")));
        assert!(!product_is(dec("33.33"), dec("3"), dec("100.01")));
        let most = Decimal::MAX;
        assert!(!product_is(most, most, dec("1")));
    }
}
