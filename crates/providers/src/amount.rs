//! Amounts of a body, with the field named when one cannot be read.

use risiti_domain::{AmountError, Currency, Money, parse_amount, parse_subunits};
use rust_decimal::Decimal;

use crate::Unreadable;

/// Major units, from decimal text.
pub(crate) fn major(field: &str, text: &str, currency: Currency) -> Result<Money, Unreadable> {
    money(field, parse_amount(text), currency)
}

/// Hundredths, from decimal text.
pub(crate) fn subunits(field: &str, text: &str, currency: Currency) -> Result<Money, Unreadable> {
    money(field, parse_subunits(text), currency)
}

fn money(
    field: &str,
    amount: Result<Decimal, AmountError>,
    currency: Currency,
) -> Result<Money, Unreadable> {
    amount
        .and_then(|amount| Money::new(amount, currency))
        .map_err(|why| Unreadable::new(field, format!("is no amount: {why}")))
}
