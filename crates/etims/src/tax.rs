//! Splitting tax-inclusive totals.

use risiti_domain::TaxType;
use rust_decimal::{Decimal, RoundingStrategy};

/// The rate of each tax type in percent. All are sent with every invoice, used or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaxRates {
    rates: [Decimal; 5],
}

/// A total with tax, split into its parts. `taxable + tax` is the total to the cent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    pub taxable: Decimal,
    pub tax: Decimal,
}

impl Default for TaxRates {
    /// A exempt, B 16, C and D 0, E 8 (OSCU specification v2.0, chapter 4).
    fn default() -> Self {
        Self {
            rates: [0, 16, 0, 0, 8].map(Decimal::from),
        }
    }
}

impl TaxRates {
    /// The rate in percent.
    pub fn rate(&self, tax_type: TaxType) -> Decimal {
        self.rates[tax_type as usize]
    }

    /// Replaces one rate. A percentage below zero counts as zero.
    #[must_use]
    pub fn with(mut self, tax_type: TaxType, percent: Decimal) -> Self {
        self.rates[tax_type as usize] = percent.max(Decimal::ZERO);
        self
    }

    /// Rounds the taxable part half up to cents. The tax is the rest of the total.
    pub fn split(&self, tax_type: TaxType, total: Decimal) -> Split {
        let divisor = Decimal::ONE + self.rate(tax_type) / Decimal::ONE_HUNDRED;
        let taxable =
            (total / divisor).round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
        Split {
            taxable,
            tax: total - taxable,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn amount(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn totals_split_as_seen_at_kra() {
        let rates = TaxRates::default();
        for (tax_type, total, taxable, tax) in [
            (TaxType::B, "1160.00", "1000.00", "160.00"),
            (TaxType::B, "100.00", "86.21", "13.79"),
            (TaxType::B, "0.01", "0.01", "0.00"),
            (
                TaxType::B,
                "999999999999.99",
                "862068965517.23",
                "137931034482.76",
            ),
            (TaxType::E, "108.00", "100.00", "8.00"),
            (TaxType::A, "100.00", "100.00", "0.00"),
            (TaxType::C, "86.21", "86.21", "0.00"),
            (TaxType::D, "0.05", "0.05", "0.00"),
        ] {
            let split = rates.split(tax_type, amount(total));
            assert_eq!(
                split,
                Split {
                    taxable: amount(taxable),
                    tax: amount(tax)
                },
                "{tax_type} {total}"
            );
        }
    }

    #[test]
    fn a_rate_can_be_replaced_and_is_never_negative() {
        let total = amount("100.00");
        let rates = TaxRates::default().with(TaxType::E, Decimal::ZERO);
        assert_eq!(
            rates.split(TaxType::E, total),
            Split {
                taxable: total,
                tax: Decimal::ZERO
            }
        );
        assert_eq!(rates.rate(TaxType::B), Decimal::from(16));
        assert_eq!(
            rates.with(TaxType::E, Decimal::from(-100)).rate(TaxType::E),
            Decimal::ZERO
        );
    }

    #[test]
    fn half_a_cent_rounds_up() {
        // 0.03 ÷ 1.20 = 0.025.
        let rates = TaxRates::default().with(TaxType::E, Decimal::from(20));
        let split = rates.split(TaxType::E, amount("0.03"));
        assert_eq!(
            split,
            Split {
                taxable: amount("0.03"),
                tax: Decimal::ZERO
            }
        );
    }

    proptest! {
        #[test]
        fn the_parts_add_up_to_the_total(cents in 1i64..100_000_000_000_000, column in 0usize..5, rate in 0u32..5_000) {
            let tax_type = TaxType::ALL[column];
            let total = Decimal::new(cents, 2);
            let rates = TaxRates::default().with(TaxType::E, Decimal::new(rate.into(), 2));
            let split = rates.split(tax_type, total);
            prop_assert_eq!(split.taxable + split.tax, total);
            prop_assert!(split.taxable.scale() <= 2 && split.tax.scale() <= 2);
            prop_assert!(split.tax >= Decimal::ZERO && split.taxable >= Decimal::ZERO);
        }

        /// Compares with integer arithmetic, which rounds exactly.
        #[test]
        fn b_is_half_up_of_a_hundred_and_sixteenths(cents in 1i64..100_000_000_000_000) {
            let expected = (i128::from(cents) * 200 + 116) / 232;
            let split = TaxRates::default().split(TaxType::B, Decimal::new(cents, 2));
            prop_assert_eq!(split.taxable, Decimal::from_i128_with_scale(expected, 2));
        }
    }
}
