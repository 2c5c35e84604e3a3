//! The sales request: every field that KRA's table requires, and sums that add up.
//!
//! What needs the records (numbering, the original of a credit note, stock) is checked there.

use crate::clock;
use crate::codes;
use crate::config::Dialect;
use crate::fields::Fields;
use crate::refusal::Refusal;
use crate::tax::{self, Rates, TYPES};
use jiff::civil::{Date, DateTime};
use rust_decimal::Decimal;

/// What the records need to know of a sale that is right in itself.
#[derive(Clone, Debug)]
pub(crate) struct Sale {
    pub(crate) invoice_no: i64,
    /// 0 for a sale.
    pub(crate) original_no: i64,
    pub(crate) credit: bool,
    pub(crate) trader_number: String,
    pub(crate) remark: Option<String>,
    pub(crate) buyer: Option<String>,
    pub(crate) day: Date,
    pub(crate) total: Decimal,
    /// Item codes, line by line.
    pub(crate) items: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct SaleRules {
    pub(crate) dialect: Dialect,
    pub(crate) rates: Rates,
    pub(crate) now: DateTime,
}

/// Line sums per tax type.
#[derive(Default)]
struct LineSums {
    taxable: [Decimal; 5],
    tax: [Decimal; 5],
    total: Decimal,
}

impl Sale {
    /// # Errors
    /// The first rule broken, in the order of KRA's field table.
    pub(crate) fn read(fields: &Fields<'_>, rules: SaleRules) -> Result<Self, Refusal> {
        let mut sale = header(fields, rules)?;
        people(fields)?;
        receipt(&fields.object("receipt")?, rules)?;
        let lines = fields.list("itemList")?;
        if fields.integer("totItemCnt")? != lines.len() as i64 {
            return Err(fields.wrong("totItemCnt", "is not the number of lines"));
        }
        let mut sums = LineSums::default();
        for (line, n) in lines.iter().zip(1..) {
            sale.items.push(item(line, n, rules, &mut sums)?);
        }
        totals(fields, rules, &sums)?;
        sale.total = fields.amount("totAmt", 18, 2)?;
        if sale.total.is_zero() {
            return Err(fields.empty("totAmt"));
        }
        Ok(sale)
    }
}

fn header(fields: &Fields<'_>, rules: SaleRules) -> Result<Sale, Refusal> {
    let trader_number = fields.loose_text("trdInvcNo", 50)?;
    let invoice_no = fields.integer("invcNo")?;
    let original_no = fields.integer("orgInvcNo")?;
    let buyer = pin(fields, "custTin")?;
    fields.optional_text("custNm", 60)?;
    fields.optional_code("salesTyCd", &codes::SALES_TYPES)?;
    let credit = fields.code("rcptTyCd", &["S", "R"])? == "R";
    fields.optional_code("pmtTyCd", &codes::PAYMENT_TYPES)?;
    fields.code("salesSttsCd", &["02"])?;
    fields.time("cfmDt", rules.now)?;
    let day = fields.day("salesDt", rules.now)?;
    for optional in ["stockRlsDt", "cnclReqDt", "cnclDt"] {
        fields.optional_time(optional, rules.now)?;
    }
    let refunded = fields.optional_time("rfdDt", rules.now)?;
    if credit {
        if refunded.is_none() {
            return Err(Refusal::rule("Missing RfdDt Date".into()));
        }
        fields
            .code("rfdRsnCd", &codes::REFUND_REASONS)
            .map_err(|_| Refusal::rule("Invalid RfdRsnCd".into()))?;
    } else if original_no != 0 {
        return Err(fields.wrong("orgInvcNo", "must be 0 for a sale"));
    }
    fields.code("prchrAcptcYn", &["Y", "N"])?;
    let remark = fields.optional_text("remark", 400)?;
    let (total, items) = (Decimal::ZERO, Vec::new());
    Ok(Sale {
        invoice_no,
        original_no,
        credit,
        trader_number,
        remark,
        buyer,
        day,
        total,
        items,
    })
}

fn people(fields: &Fields<'_>) -> Result<(), Refusal> {
    for (name, max) in [
        ("regrId", 20),
        ("regrNm", 60),
        ("modrId", 20),
        ("modrNm", 60),
    ] {
        fields.text(name, max)?;
    }
    Ok(())
}

fn receipt(receipt: &Fields<'_>, rules: SaleRules) -> Result<(), Refusal> {
    pin(receipt, "custTin")?;
    for (name, max) in [
        ("custMblNo", 20),
        ("trdeNm", 20),
        ("adrs", 200),
        ("topMsg", 20),
        ("btmMsg", 20),
    ] {
        receipt.optional_text(name, max)?;
    }
    receipt.time("rcptPbctDt", rules.now)?;
    receipt.code("prchrAcptcYn", &["Y", "N"]).map(drop)
}

/// A KRA PIN: letter, nine digits, letter.
fn pin(fields: &Fields<'_>, name: &str) -> Result<Option<String>, Refusal> {
    let Some(pin) = fields.optional_text(name, 11)? else {
        return Ok(None);
    };
    let right = pin.bytes().enumerate().all(|(at, byte)| match at {
        0 | 10 => byte.is_ascii_uppercase(),
        _ => byte.is_ascii_digit(),
    });
    if right && pin.len() == 11 {
        Ok(Some(pin))
    } else {
        Err(fields.wrong(name, "is not a PIN"))
    }
}

fn item(
    line: &Fields<'_>,
    n: i64,
    rules: SaleRules,
    sums: &mut LineSums,
) -> Result<String, Refusal> {
    if line.integer("itemSeq")? != n {
        return Err(line.wrong("itemSeq", "must count from 1"));
    }
    let code = line.text("itemCd", 20)?;
    if !codes::is_item_code(&code) {
        return Err(line.wrong("itemCd", "Incorrect QtyUnitCd Prefix or item code format"));
    }
    line.text("itemClsCd", 10)?;
    line.text("itemNm", 200)?;
    for (name, max) in [("bcd", 20), ("isrccCd", 10), ("isrccNm", 100)] {
        line.optional_text(name, max)?;
    }
    line.code("pkgUnitCd", &codes::PACKAGES)?;
    line.code("qtyUnitCd", &codes::UNITS)?;
    let packages = line.amount("pkg", 13, 2)?;
    if rules.dialect == Dialect::Gateway && packages != Decimal::ONE {
        let found = packages.normalize();
        return Err(Refusal::rule(format!(
            "Invalid pkg for ItemList {n}. Expected: 1, Found: {found}"
        )));
    }
    let quantity = line.amount("qty", 13, 2)?;
    if quantity.is_zero() {
        return Err(line.empty("qty"));
    }
    amounts(line, n, quantity, rules, sums)?;
    Ok(code)
}

fn amounts(
    line: &Fields<'_>,
    n: i64,
    quantity: Decimal,
    rules: SaleRules,
    sums: &mut LineSums,
) -> Result<(), Refusal> {
    let place = format!(" on item: {n}");
    let (price, supply) = (line.amount("prc", 18, 2)?, line.amount("splyAmt", 18, 2)?);
    let (discount_rate, discount) = (line.amount("dcRt", 5, 2)?, line.amount("dcAmt", 18, 2)?);
    if discount_rate.is_zero() != discount.is_zero() {
        return Err(line.wrong("dcAmt", "does not go with dcRt"));
    }
    let tax_type = line.code("taxTyCd", &TYPES)?;
    // `code` has just found it there.
    let index = TYPES
        .iter()
        .position(|name| *name == tax_type)
        .expect("a listed tax type");
    let taxable = line.amount("taxblAmt", 18, 2)?;
    let tax = line.amount("taxAmt", 18, 2)?;
    let total = line.amount("totAmt", 18, 2)?;
    // Legacy takes prices net of VAT as well, so only the gateway compares them.
    if rules.dialect == Dialect::Gateway {
        // A price rounded to the cent is off by up to half a cent per piece.
        if (quantity * price - supply).abs() > Decimal::new(1, 2) * quantity.max(Decimal::ONE) {
            return tax::expect("splyAmt", &place, quantity * price, supply);
        }
        tax::expect("totAmt", &place, supply - discount, total)?;
    }
    let (expected_taxable, _) = rules.rates.split(index, total);
    tax::expect("taxblAmt", &place, expected_taxable, taxable)?;
    tax::expect("taxAmt", &place, total - taxable, tax)?;
    sums.taxable[index] += taxable;
    sums.tax[index] += tax;
    sums.total += total;
    Ok(())
}

fn totals(fields: &Fields<'_>, rules: SaleRules, sums: &LineSums) -> Result<(), Refusal> {
    for (index, name) in TYPES.iter().enumerate() {
        let rate = fields.amount(&format!("taxRt{name}"), 7, 2)?;
        let expected = rules.rates.percent(index);
        if rate != expected {
            let text = format!(
                "Rule taxRt{name} failed: Tax rate mismatch. Expected: {expected:.2}, Found: {rate}"
            );
            return Err(Refusal::rule(text));
        }
        for (prefix, sum) in [
            ("taxblAmt", sums.taxable[index]),
            ("taxAmt", sums.tax[index]),
        ] {
            let field = format!("{prefix}{name}");
            tax::expect(&field, "", sum, fields.amount(&field, 18, 2)?)?;
        }
    }
    let (taxable, tax) = (
        sums.taxable.iter().sum::<Decimal>(),
        sums.tax.iter().sum::<Decimal>(),
    );
    tax::expect(
        "totTaxblAmt",
        "",
        taxable,
        fields.amount("totTaxblAmt", 18, 2)?,
    )?;
    tax::expect("totTaxAmt", "", tax, fields.amount("totTaxAmt", 18, 2)?)?;
    tax::expect("totAmt", "", sums.total, fields.amount("totAmt", 18, 2)?)
}

impl SaleRules {
    pub(crate) fn new(dialect: Dialect, rates: Rates) -> Self {
        Self {
            dialect,
            rates,
            now: clock::now(),
        }
    }
}
