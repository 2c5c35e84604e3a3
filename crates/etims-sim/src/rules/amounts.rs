//! The amounts of a line: what its tax type makes of its total.

use rust_decimal::Decimal;

use crate::fields::Fields;
use crate::refusal::Refusal;
use crate::sale::LineSums;
use crate::tax::{self, Rates, TYPES};

/// What a line says of its price.
pub(crate) struct LinePrice {
    pub(crate) quantity: Decimal,
    pub(crate) price: Decimal,
    pub(crate) supply: Decimal,
    pub(crate) discount: Decimal,
    pub(crate) total: Decimal,
}

impl LinePrice {
    /// Checks that the pieces come to the supply, and what the discount leaves of it to the total.
    pub(crate) fn check(&self, line_number: i64) -> Result<(), Refusal> {
        let place = format!(" on item: {line_number}");
        let pieces = self.quantity * self.price;
        // A price rounded to the cent is off by up to half a cent per piece.
        let slack = Decimal::new(1, 2) * self.quantity.max(Decimal::ONE);
        if (pieces - self.supply).abs() > slack {
            return tax::expect("splyAmt", &place, pieces, self.supply);
        }
        tax::expect("totAmt", &place, self.supply - self.discount, self.total)
    }
}

/// Checks how the total of a line is split, and adds its amounts to the sums. The total is
/// tax-inclusive.
pub(crate) fn add_split(
    line: &Fields<'_>,
    line_number: i64,
    rates: Rates,
    total: Decimal,
    sums: &mut LineSums,
) -> Result<(), Refusal> {
    let place = format!(" on item: {line_number}");
    let tax_type = line.code("taxTyCd", &TYPES)?;
    // `code` has just found it there.
    let index = TYPES
        .iter()
        .position(|name| *name == tax_type)
        .expect("a listed tax type");
    let taxable = line.amount("taxblAmt", 18, 2)?;
    let tax = line.amount("taxAmt", 18, 2)?;
    let (expected_taxable, _) = rates.split(index, total);
    tax::expect("taxblAmt", &place, expected_taxable, taxable)?;
    tax::expect("taxAmt", &place, total - taxable, tax)?;

    sums.taxable[index] += taxable;
    sums.tax[index] += tax;
    sums.total += total;
    Ok(())
}
