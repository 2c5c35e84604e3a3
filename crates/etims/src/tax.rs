//! Splitting tax-inclusive totals.

use risiti_domain::TaxType;
use rust_decimal::{Decimal, RoundingStrategy};

/// Percent per tax type. Sent with every invoice, also for types it does not use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaxRates {
    rates: [Decimal; 5],
}

/// A tax-inclusive total, taken apart: `taxable + tax` is the total to the cent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    pub taxable: Decimal,
    pub tax: Decimal,
}

impl Default for TaxRates {
    /// A exempt, B 16, C and D 0, E 8 (OSCU specification v2.0, chapter 4).
    fn default() -> Self {
        Self { rates: [0, 16, 0, 0, 8].map(Decimal::from) }
    }
}

impl TaxRates {
    /// Percent.
    pub fn rate(&self, tax_type: TaxType) -> Decimal {
        self.rates[tax_type as usize]
    }

    /// The same rates but one. `percent` is not negative.
    #[must_use]
    pub fn with(mut self, tax_type: TaxType, percent: Decimal) -> Self {
        self.rates[tax_type as usize] = percent;
        self
    }

    /// Rounds the taxable part half-up to cents; the tax is what is left of the total.
    pub fn split(&self, tax_type: TaxType, total: Decimal) -> Split {
        let divisor = Decimal::ONE + self.rate(tax_type) / Decimal::ONE_HUNDRED;
        let taxable = (total / divisor).round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
        Split { taxable, tax: total - taxable }
    }
}
