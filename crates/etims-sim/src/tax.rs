//! Tax types, their rates, and the split of a tax-inclusive price.

use crate::refusal::Refusal;
use rust_decimal::{Decimal, RoundingStrategy};

/// KRA's tax types: A exempt, B standard, C zero-rated, D outside VAT, E reduced.
pub(crate) const TYPES: [&str; 5] = ["A", "B", "C", "D", "E"];

/// A cent more or less is forgiven; rounding is not documented for Kenya.
const SLACK: Decimal = Decimal::from_parts(1, 0, 0, false, 2);

/// The rates in percent, as the code list 04 gives them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates {
    e: Decimal,
}

impl Rates {
    pub(crate) fn new(e: Decimal) -> Self {
        Self { e }
    }

    /// The rate of the `index`th of [`TYPES`], in percent.
    pub(crate) fn percent(self, index: usize) -> Decimal {
        match index {
            1 => Decimal::from(16),
            4 => self.e,
            _ => Decimal::ZERO,
        }
    }

    /// Taxable amount and tax contained in `total`, rounded half-up to the cent.
    pub(crate) fn split(self, index: usize, total: Decimal) -> (Decimal, Decimal) {
        let divisor = Decimal::ONE + self.percent(index) / Decimal::ONE_HUNDRED;
        let taxable =
            (total / divisor).round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
        (taxable, total - taxable)
    }
}

pub(crate) fn near(a: Decimal, b: Decimal) -> bool {
    (a - b).abs() <= SLACK
}

/// Refuses `found` when it is further than the slack from `expected`, in the gateway's words.
pub(crate) fn expect(
    name: &str,
    place: &str,
    expected: Decimal,
    found: Decimal,
) -> Result<(), Refusal> {
    if near(expected, found) {
        return Ok(());
    }
    Err(Refusal::rule(format!(
        "Invalid {name}{place}. Expected: {expected:.2}, But Found: {found:.2}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn splits_as_the_gateway_expects() {
        let rates = Rates::new(Decimal::from(8));
        let split = |index, total| rates.split(index, decimal(total));
        assert_eq!(split(1, "1160"), (decimal("1000"), decimal("160")));
        assert_eq!(split(1, "100.00"), (decimal("86.21"), decimal("13.79")));
        assert_eq!(split(4, "108"), (decimal("100"), decimal("8")));
        for untaxed in [0, 2, 3] {
            assert_eq!(split(untaxed, "99.99"), (decimal("99.99"), decimal("0")));
        }
    }

    #[test]
    fn half_a_cent_rounds_up() {
        // 0.29 / 1.16 = 0.25 exactly; 0.0058 / 1.16 would be half a cent.
        assert_eq!(
            Rates::new(Decimal::ZERO).split(1, decimal("0.0058")).0,
            decimal("0.01")
        );
    }

    #[test]
    fn a_cent_is_forgiven_and_two_are_not() {
        assert!(
            expect(
                "taxblAmt",
                " on item: 1",
                decimal("86.21"),
                decimal("86.22")
            )
            .is_ok()
        );
        let refusal =
            expect("taxblAmt", " on item: 1", decimal("86.21"), decimal("100")).unwrap_err();
        assert_eq!(
            refusal.gateway,
            "Invalid taxblAmt on item: 1. Expected: 86.21, But Found: 100.00"
        );
    }
}
