//! A purchase (certification facts 3.16): a sale of the list of purchases, and sums of its lines.

use rust_decimal::Decimal;

use crate::codes;
use crate::config::Dialect;
use crate::fields::Fields;
use crate::records::kept::Row;
use crate::records::supplier_invoices::SupplierInvoice;
use crate::records::taxpayer::Taxpayer;
use crate::refusal::Refusal;
use crate::rules::registered_item;
use crate::rules::users::{WHO, check_users};
use crate::rules::{amounts, lines};
use crate::sale::{LineSums, SaleRules, check_totals};
use crate::tax;

/// A purchase that is right in itself.
#[derive(Debug)]
pub(crate) struct Purchase {
    pub(crate) number: i64,
    pub(crate) supplier_invoice_no: i64,
    pub(crate) row: Row,
}

impl Purchase {
    /// `known` are the invoices of the list of purchases.
    pub(crate) fn read(
        fields: &Fields<'_>,
        rules: SaleRules,
        known: &[SupplierInvoice],
        taxpayer: &Taxpayer,
    ) -> Result<Self, Refusal> {
        let number = fields.integer("invcNo")?;
        if fields.integer("orgInvcNo")? != 0 {
            return Err(fields.invalid("orgInvcNo", "must be 0"));
        }
        check_header(fields, rules)?;
        let supplier_invoice_no = find_invoice(fields, known)?;

        let lines = lines::read(fields)?;
        let mut sums = LineSums::default();
        for (line, line_number) in lines.iter().zip(1..) {
            read_line(line, line_number, rules, taxpayer, &mut sums)?;
        }
        check_totals(fields, rules, &sums)?;
        Ok(Self {
            number,
            supplier_invoice_no,
            row: Row::new(fields, rules.now),
        })
    }
}

fn check_header(fields: &Fields<'_>, rules: SaleRules) -> Result<(), Refusal> {
    fields.code("regTyCd", &codes::REGISTRATION_TYPES)?;
    fields.code("pchsTyCd", &codes::SALES_TYPES)?;
    fields.code("rcptTyCd", &codes::PURCHASE_RECEIPTS)?;
    fields.code("pmtTyCd", &codes::PAYMENT_TYPES)?;
    fields.code("pchsSttsCd", &["02"])?;
    fields.day("pchsDt", rules.now)?;
    for name in ["cfmDt", "wrhsDt", "cnclReqDt", "cnclDt", "rfdDt"] {
        fields.optional_time(name, rules.now)?;
    }
    fields.optional_text("remark", 400)?;
    check_users(fields, &WHO)
}

/// The supplier's invoice that the purchase is of. Its supplier must be named verbatim.
fn find_invoice(fields: &Fields<'_>, known: &[SupplierInvoice]) -> Result<i64, Refusal> {
    let tin = fields.text("spplrTin", 11)?;
    let bhf = fields.text("spplrBhfId", 2)?;
    let name = fields.text("spplrNm", 60)?;
    let number = fields.integer("spplrInvcNo")?;
    let of_supplier = |invoice: &&SupplierInvoice| invoice.tin == tin && invoice.bhf == bhf;
    if !known.iter().any(|invoice| of_supplier(&invoice)) {
        return Err(Refusal::broken_rule("Missing purchase Record".into()));
    }
    let invoice = known
        .iter()
        .filter(of_supplier)
        .find(|invoice| invoice.number == number)
        .ok_or_else(|| {
            let text = format!("Supplier invoice number {number} does not exist");
            Refusal::broken_rule(text)
        })?;
    if invoice.name != name {
        let text = format!("spplrNm {name} does not match the expected value");
        return Err(Refusal::broken_rule(text));
    }
    Ok(number)
}

fn read_line(
    line: &Fields<'_>,
    line_number: i64,
    rules: SaleRules,
    taxpayer: &Taxpayer,
    sums: &mut LineSums,
) -> Result<(), Refusal> {
    lines::check_sequence(line, line_number)?;
    let item = line.text("itemCd", 20)?;
    let class = line.text("itemClsCd", 10)?;
    line.text("itemNm", 200)?;
    line.check_optional_texts(&[
        ("bcd", 20),
        ("spplrItemClsCd", 10),
        ("spplrItemCd", 20),
        ("spplrItemNm", 200),
        ("itemExprDt", 8),
    ])?;
    line.code("pkgUnitCd", &codes::PACKAGES)?;
    line.code("qtyUnitCd", &codes::UNITS)?;
    line.amount("pkg", 13, 2)?;
    line.amount("qty", 13, 2)?;
    add_amounts(line, line_number, rules, sums)?;
    let tax_type = line.text("taxTyCd", 5)?;
    registered_item::check(taxpayer, &item, &class, &tax_type)
}

fn add_amounts(
    line: &Fields<'_>,
    line_number: i64,
    rules: SaleRules,
    sums: &mut LineSums,
) -> Result<(), Refusal> {
    line.amount("prc", 18, 2)?;
    let supply = line.amount("splyAmt", 18, 2)?;
    line.amount("dcRt", 5, 2)?;
    let discount: Decimal = line.amount("dcAmt", 18, 2)?;
    let total = line.amount("totAmt", 18, 2)?;
    if rules.dialect == Dialect::Gateway {
        // The seeded sales have net amounts here, which nobody may copy. KRA spells it so.
        let place = format!(" on item: {line_number}");
        tax::expect("splyAmnt", &place, total + discount, supply)?;
    }
    amounts::add_split(line, line_number, rules.rates, total, sums)
}
