//! Whether the figures of a filed request agree with each other, to the cent.
//!
//! A receipt whose rows do not add up is worse than none: the buyer and KRA would both see it.

use risiti_domain::TaxType;
use rust_decimal::Decimal;

use crate::amounts::product_is;
use crate::error::ReceiptError;
use crate::filed_request::{FiledLine, FiledRequest, FiledTax};

pub(crate) fn check(request: &FiledRequest) -> Result<(), ReceiptError> {
    for line in &request.lines {
        check_line(line)?;
    }
    for (tax_type, filed) in TaxType::ALL.iter().zip(&request.taxes) {
        check_tax_type(*tax_type, filed, &request.lines)?;
    }

    let of_taxes = |part: fn(&FiledTax) -> Decimal| request.taxes.iter().map(part).sum::<Decimal>();
    agree(
        of_taxes(|tax| tax.taxable) == request.taxable,
        "the taxable amounts and totTaxblAmt",
    )?;
    agree(
        of_taxes(|tax| tax.tax) == request.tax,
        "the taxes and totTaxAmt",
    )?;
    agree(
        request.taxable + request.tax == request.total,
        "totTaxblAmt, totTaxAmt and totAmt",
    )?;
    agree(
        request.lines.iter().map(|line| line.total).sum::<Decimal>() == request.total,
        "the lines and totAmt",
    )?;
    agree(
        usize::try_from(request.item_count) == Ok(request.lines.len()),
        "the lines and totItemCnt",
    )
}

fn check_line(line: &FiledLine) -> Result<(), ReceiptError> {
    agree(
        product_is(line.price, line.quantity, line.supply),
        "prc, qty and splyAmt of a line",
    )?;
    agree(
        line.supply - line.discount == line.total,
        "splyAmt, dcAmt and totAmt of a line",
    )?;
    agree(
        line.taxable + line.tax == line.total,
        "taxblAmt, taxAmt and totAmt of a line",
    )
}

fn check_tax_type(
    tax_type: TaxType,
    filed: &FiledTax,
    lines: &[FiledLine],
) -> Result<(), ReceiptError> {
    let of_type = || lines.iter().filter(|line| line.tax_type == tax_type);
    agree(
        of_type().map(|line| line.taxable).sum::<Decimal>() == filed.taxable,
        "the lines and the taxable amount of their tax type",
    )?;
    agree(
        of_type().map(|line| line.tax).sum::<Decimal>() == filed.tax,
        "the lines and the tax of their tax type",
    )
}

fn agree(agrees: bool, what: &'static str) -> Result<(), ReceiptError> {
    if agrees {
        Ok(())
    } else {
        Err(ReceiptError::Sums(what))
    }
}
