//! Amounts of a body. When one cannot be read, the error names its field.

use risiti_domain::{AmountError, Currency, Money, parse_amount, parse_subunits};
use rust_decimal::Decimal;

use crate::Unreadable;

/// Reads an amount in major units (shillings, dollars) from decimal text.
pub(crate) fn major(
    field: impl Into<String>,
    text: &str,
    currency: Currency,
) -> Result<Money, Unreadable> {
    money(field, parse_amount(text), currency)
}

/// Reads an amount in hundredths from decimal text.
pub(crate) fn subunits(
    field: impl Into<String>,
    text: &str,
    currency: Currency,
) -> Result<Money, Unreadable> {
    money(field, parse_subunits(text), currency)
}

fn money(
    field: impl Into<String>,
    amount: Result<Decimal, AmountError>,
    currency: Currency,
) -> Result<Money, Unreadable> {
    amount
        .and_then(|amount| Money::new(amount, currency))
        .map_err(|why| Unreadable::new(field, format!("is no amount: {why}")))
}
