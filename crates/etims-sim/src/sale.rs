//! The sales request: every field that KRA's table requires, and sums that add up.
//!
//! Whatever depends on earlier calls is checked against the records: numbering, the original of a
//! credit note, and stock.

use jiff::civil::{Date, DateTime};
use rust_decimal::Decimal;

use crate::clock;
use crate::codes;
use crate::config::Dialect;
use crate::fields::Fields;
use crate::refusal::Refusal;
use crate::rules::amounts::{self, LinePrice};
use crate::rules::{discount, lines};
use crate::tax::{self, Rates, TYPES};

/// What the records need to know of a sale or credit note that is right in itself.
#[derive(Clone, Debug)]
pub(crate) struct Sale {
    pub(crate) invoice_no: i64,
    /// The number of the sale that a credit note refers to, 0 for a sale.
    pub(crate) original_no: i64,
    pub(crate) credit: bool,
    pub(crate) trader_number: String,
    pub(crate) remark: Option<String>,
    pub(crate) buyer: Option<String>,
    pub(crate) buyer_name: Option<String>,
    pub(crate) day: Date,
    pub(crate) total: Decimal,
    pub(crate) lines: Vec<SoldLine>,
}

/// What the records compare of a line.
#[derive(Clone, Debug)]
pub(crate) struct SoldLine {
    pub(crate) item: String,
    pub(crate) class: String,
    pub(crate) tax_type: String,
    pub(crate) quantity: Decimal,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct SaleRules {
    pub(crate) dialect: Dialect,
    pub(crate) rates: Rates,
    pub(crate) now: DateTime,
    /// Whether a discount must be a whole percent.
    pub(crate) strict_discounts: bool,
}

impl SaleRules {
    pub(crate) fn new(dialect: Dialect, rates: Rates) -> Self {
        Self {
            dialect,
            rates,
            now: clock::now(),
            strict_discounts: false,
        }
    }
}

/// Sums over the lines, by tax type.
#[derive(Default)]
pub(crate) struct LineSums {
    pub(crate) taxable: [Decimal; 5],
    pub(crate) tax: [Decimal; 5],
    pub(crate) total: Decimal,
}

impl Sale {
    /// # Errors
    /// The first rule that is broken, in the order of KRA's field table.
    pub(crate) fn read(fields: &Fields<'_>, rules: SaleRules) -> Result<Self, Refusal> {
        let mut sale = read_header(fields, rules)?;
        check_users(fields)?;
        check_receipt(&fields.object("receipt")?, rules)?;

        let lines = lines::read(fields)?;
        let mut sums = LineSums::default();
        for (line, line_number) in lines.iter().zip(1..) {
            sale.lines
                .push(read_line(line, line_number, rules, &mut sums)?);
        }

        check_totals(fields, rules, &sums)?;
        sale.total = fields.amount("totAmt", 18, 2)?;
        if sale.total.is_zero() {
            return Err(fields.missing("totAmt"));
        }
        Ok(sale)
    }

    /// The remark, or the trader number where there is none.
    pub(crate) fn label(&self) -> &str {
        self.remark.as_deref().unwrap_or(&self.trader_number)
    }

    /// How much of an item it is of, over all lines.
    pub(crate) fn quantity_of(&self, item: &str) -> Decimal {
        let lines = self.lines.iter().filter(|line| line.item == item);
        lines.map(|line| line.quantity).sum()
    }

    /// Whether both are the same business invoice, whatever their numbers.
    pub(crate) fn is_same_business(&self, other: &Sale) -> bool {
        match (&self.remark, &other.remark) {
            (None, None) => {
                self.trader_number == other.trader_number && self.credit == other.credit
            }
            (ours, theirs) => ours == theirs,
        }
    }
}

/// Reads the header. The total and the lines are filled in later.
fn read_header(fields: &Fields<'_>, rules: SaleRules) -> Result<Sale, Refusal> {
    let trader_number = fields.text_or_number("trdInvcNo", 50)?;
    let invoice_no = fields.integer("invcNo")?;
    let original_no = fields.integer("orgInvcNo")?;
    let buyer = fields.optional_pin("custTin")?;
    let buyer_name = fields.optional_text("custNm", 60)?;
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
            return Err(Refusal::broken_rule("Missing RfdDt Date".into()));
        }
        fields
            .code("rfdRsnCd", &codes::REFUND_REASONS)
            .map_err(|_| Refusal::broken_rule("Invalid RfdRsnCd".into()))?;
    } else if original_no != 0 {
        return Err(fields.invalid("orgInvcNo", "must be 0 for a sale"));
    }

    fields.code("prchrAcptcYn", &["Y", "N"])?;
    let remark = fields.optional_text("remark", 400)?;
    Ok(Sale {
        invoice_no,
        original_no,
        credit,
        trader_number,
        remark,
        buyer,
        buyer_name,
        day,
        total: Decimal::ZERO,
        lines: Vec::new(),
    })
}

/// Checks the users who registered and last modified the sale.
fn check_users(fields: &Fields<'_>) -> Result<(), Refusal> {
    let users = [
        ("regrId", 20),
        ("regrNm", 60),
        ("modrId", 20),
        ("modrNm", 60),
    ];
    for (name, max) in users {
        fields.text(name, max)?;
    }
    Ok(())
}

fn check_receipt(receipt: &Fields<'_>, rules: SaleRules) -> Result<(), Refusal> {
    receipt.optional_pin("custTin")?;
    receipt.check_optional_texts(&[
        ("custMblNo", 20),
        ("trdeNm", 20),
        ("adrs", 200),
        ("topMsg", 20),
        ("btmMsg", 20),
    ])?;
    receipt.time("rcptPbctDt", rules.now)?;
    receipt.code("prchrAcptcYn", &["Y", "N"]).map(drop)
}

/// Checks a line and adds its amounts to the sums.
fn read_line(
    line: &Fields<'_>,
    line_number: i64,
    rules: SaleRules,
    sums: &mut LineSums,
) -> Result<SoldLine, Refusal> {
    lines::check_sequence(line, line_number)?;
    let code = line.text("itemCd", 20)?;
    if !codes::is_item_code(&code) {
        return Err(line.invalid("itemCd", "Incorrect QtyUnitCd Prefix or item code format"));
    }
    let class = line.text("itemClsCd", 10)?;
    line.text("itemNm", 200)?;
    line.check_optional_texts(&[("bcd", 20), ("isrccCd", 10), ("isrccNm", 100)])?;
    line.code("pkgUnitCd", &codes::PACKAGES)?;
    line.code("qtyUnitCd", &codes::UNITS)?;

    let packages = line.amount("pkg", 13, 2)?;
    if rules.dialect == Dialect::Gateway && packages != Decimal::ONE {
        let found = packages.normalize();
        return Err(Refusal::broken_rule(format!(
            "Invalid pkg for ItemList {line_number}. Expected: 1, Found: {found}"
        )));
    }
    let quantity = line.amount("qty", 13, 2)?;
    if quantity.is_zero() {
        return Err(line.missing("qty"));
    }
    add_amounts(line, line_number, quantity, rules, sums)?;
    Ok(SoldLine {
        item: code,
        class,
        tax_type: line.code("taxTyCd", &TYPES)?,
        quantity,
    })
}

/// Checks the amounts of a line and adds them to the sums.
fn add_amounts(
    line: &Fields<'_>,
    line_number: i64,
    quantity: Decimal,
    rules: SaleRules,
    sums: &mut LineSums,
) -> Result<(), Refusal> {
    let price = line.amount("prc", 18, 2)?;
    let supply = line.amount("splyAmt", 18, 2)?;
    let discount_rate = line.amount("dcRt", 5, 2)?;
    let discount = line.amount("dcAmt", 18, 2)?;
    if discount_rate.is_zero() != discount.is_zero() {
        return Err(line.invalid("dcAmt", "does not go with dcRt"));
    }
    if rules.strict_discounts {
        discount::check(line_number, quantity * price, discount_rate, discount)?;
    }

    let total = line.amount("totAmt", 18, 2)?;

    // Legacy takes prices net of VAT as well, so only the gateway compares them.
    if rules.dialect == Dialect::Gateway {
        let price = LinePrice {
            quantity,
            price,
            supply,
            discount,
            total,
        };
        price.check(line_number)?;
    }
    amounts::add_split(line, line_number, rules.rates, total, sums)
}

/// Checks the rates and sums of the header against those of the lines.
pub(crate) fn check_totals(
    fields: &Fields<'_>,
    rules: SaleRules,
    sums: &LineSums,
) -> Result<(), Refusal> {
    for (index, name) in TYPES.iter().enumerate() {
        let rate = fields.amount(&format!("taxRt{name}"), 7, 2)?;
        let expected = rules.rates.percent(index);
        if rate != expected {
            return Err(Refusal::broken_rule(format!(
                "Rule taxRt{name} failed: Tax rate mismatch. Expected: {expected:.2}, Found: {rate}"
            )));
        }
        expect_sum(fields, &format!("taxblAmt{name}"), sums.taxable[index])?;
        expect_sum(fields, &format!("taxAmt{name}"), sums.tax[index])?;
    }
    expect_sum(fields, "totTaxblAmt", sums.taxable.iter().sum())?;
    expect_sum(fields, "totTaxAmt", sums.tax.iter().sum())?;
    expect_sum(fields, "totAmt", sums.total)
}

pub(crate) fn expect_sum(fields: &Fields<'_>, name: &str, sum: Decimal) -> Result<(), Refusal> {
    let found = fields.amount(name, 18, 2)?;
    tax::expect(name, "", sum, found)
}
