//! Tax types, their rates, and the split of a tax-inclusive price.

use rust_decimal::{Decimal, RoundingStrategy};

use crate::refusal::Refusal;

/// KRA's tax types: A exempt, B standard, C zero-rated, D outside VAT, E reduced.
pub(crate) const TYPES: [&str; 5] = ["A", "B", "C", "D", "E"];

/// How far an amount may be off. KRA does not document its rounding for Kenya.
const SLACK: Decimal = Decimal::from_parts(1, 0, 0, false, 2);

/// The rates in percent, as code list 04 gives them. Only that of type E is configurable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates {
    e: Decimal,
}

impl Rates {
    pub(crate) fn new(e: Decimal) -> Self {
        Self { e }
    }

    /// The rate in percent of the tax type at `index` of [`TYPES`].
    pub(crate) fn percent(self, index: usize) -> Decimal {
        match index {
            1 => Decimal::from(16),
            4 => self.e,
            _ => Decimal::ZERO,
        }
    }

    /// The taxable amount and the tax in `total`, rounded half-up to the cent.
    pub(crate) fn split(self, index: usize, total: Decimal) -> (Decimal, Decimal) {
        let divisor = Decimal::ONE + self.percent(index) / Decimal::ONE_HUNDRED;
        let taxable =
            (total / divisor).round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
        (taxable, total - taxable)
    }
}

/// Refuses `found`, in the gateway's words, when it is too far from `expected`.
pub(crate) fn expect(
    name: &str,
    place: &str,
    expected: Decimal,
    found: Decimal,
) -> Result<(), Refusal> {
    if (expected - found).abs() <= SLACK {
        return Ok(());
    }
    Err(Refusal::broken_rule(format!(
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
    fn totals_split_as_the_gateway_expects() {
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
        // 0.0058 / 1.16 is exactly half a cent.
        assert_eq!(
            Rates::new(Decimal::ZERO).split(1, decimal("0.0058")).0,
            decimal("0.01")
        );
    }

    #[test]
    fn amount_may_be_off_by_one_cent() {
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
            refusal.gateway_message,
            "Invalid taxblAmt on item: 1. Expected: 86.21, But Found: 100.00"
        );
    }
}
