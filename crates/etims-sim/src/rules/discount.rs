//! Discounts as KRA's Java unit was seen to check them (`--strict-discounts`).

use rust_decimal::{Decimal, RoundingStrategy};

use crate::refusal::Refusal;
use crate::tax;

/// Checks the discount of a line. The percentage is rounded to a whole one first.
pub(crate) fn check(
    line_number: i64,
    gross: Decimal,
    rate: Decimal,
    discount: Decimal,
) -> Result<(), Refusal> {
    let whole = rate.round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero);
    let place = format!(" for item {line_number}");
    let expected = gross * whole / Decimal::ONE_HUNDRED;
    tax::expect("dcAmt", &place, expected, discount)
}
