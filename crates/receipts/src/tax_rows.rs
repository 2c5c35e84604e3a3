//! The five tax types: as a table on a sale, among the totals on a credit note.

use risiti_domain::TaxType;
use rust_decimal::Decimal;

use crate::amounts::{money, plain};
use crate::choices::CreditTotals;
use crate::filed_request::FiledTax;
use crate::model::PrintedReceipt;
use crate::view::{Row, row};

/// The rows of a sale's tax table. All five are printed on every receipt.
pub(crate) fn of_sale(receipt: &PrintedReceipt) -> Vec<[String; 3]> {
    taxes(receipt)
        .map(|(tax_type, tax)| [rate_name(tax_type, tax), money(tax.taxable), money(tax.tax)])
        .collect()
}

/// The totals of a credit note: the whole, each tax type with its tax, all taxes.
pub(crate) fn of_credit_note(receipt: &PrintedReceipt) -> Vec<Row> {
    let signed = |amount| money(receipt.signed(amount));
    let mut rows = vec![row("TOTAL (KES)", &signed(receipt.total))];
    for (tax_type, tax) in taxes(receipt) {
        let sum = match receipt.choices.credit_totals {
            CreditTotals::WithoutTax => tax.taxable,
            CreditTotals::WithTax => tax.taxable + tax.tax,
        };
        rows.push((format!("TOTAL {}", credit_name(tax_type, tax)), signed(sum)));
        if !tax.rate.is_zero() || !tax.tax.is_zero() {
            rows.push((format!("TOTAL TAX {tax_type}"), signed(tax.tax)));
        }
    }
    rows.push(row("TOTAL TAX", &signed(receipt.tax)));
    rows
}

fn taxes(receipt: &PrintedReceipt) -> impl Iterator<Item = (TaxType, &FiledTax)> {
    TaxType::ALL.iter().copied().zip(&receipt.taxes)
}

/// The row is named after the rate that was filed. Type E is filed at 0 in the sandbox. Its row is
/// named 8% all the same while it holds nothing, as on KRA's page.
fn rate_name(tax_type: TaxType, tax: &FiledTax) -> String {
    match tax_type {
        TaxType::A => "EX".to_owned(),
        TaxType::B | TaxType::C => format!("{}%", plain(tax.rate)),
        TaxType::D => "Non-VAT".to_owned(),
        TaxType::E if !tax.rate.is_zero() => format!("{}%", plain(tax.rate)),
        TaxType::E if tax.taxable.is_zero() => "8%".to_owned(),
        TaxType::E => "0% (E)".to_owned(),
    }
}

fn credit_name(tax_type: TaxType, tax: &FiledTax) -> String {
    let with_rate = |rate: Decimal| format!("{tax_type}-{rate:.2}%");
    match tax_type {
        TaxType::A => "A-EX".to_owned(),
        TaxType::D => "D".to_owned(),
        TaxType::E if tax.rate.is_zero() => "E".to_owned(),
        TaxType::B | TaxType::C | TaxType::E => with_rate(tax.rate),
    }
}
