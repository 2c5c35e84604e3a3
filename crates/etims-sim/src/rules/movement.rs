//! A stock movement (certification facts 4.4): every field, and sums that add up.

use rust_decimal::Decimal;

use crate::codes;
use crate::config::Dialect;
use crate::fields::Fields;
use crate::records::kept::Row;
use crate::records::taxpayer::Taxpayer;
use crate::refusal::{Refusal, RefusalKind};
use crate::rules::amounts::{self, LinePrice};
use crate::rules::lines;
use crate::rules::registered_item;
use crate::rules::users::{WHO, check_users};
use crate::sale::{LineSums, SaleRules, expect_sum};

/// A movement that is right in itself.
#[derive(Debug)]
pub(crate) struct Movement {
    pub(crate) number: i64,
    pub(crate) goods_in: bool,
    /// PIN and branch that the goods go to or come from, for a movement between branches.
    pub(crate) other_branch: Option<(String, String)>,
    pub(crate) lines: Vec<MovedGoods>,
    pub(crate) row: Row,
}

#[derive(Debug)]
pub(crate) struct MovedGoods {
    pub(crate) item: String,
    pub(crate) quantity: Decimal,
}

impl Movement {
    pub(crate) fn read(
        fields: &Fields<'_>,
        rules: SaleRules,
        taxpayer: &Taxpayer,
    ) -> Result<Self, Refusal> {
        let number = fields.integer("sarNo")?;
        if fields.raw("orgSarNo").is_none() {
            return Err(Refusal::server_fault("getOrgSarNo"));
        }
        fields.integer("orgSarNo")?;
        check_registration(fields)?;
        let other_pin = fields.optional_pin("custTin")?;
        fields.optional_text("custNm", 100)?;
        let other_bhf = fields.optional_text("custBhfId", 2)?;
        let kind = fields.code("sarTyCd", &codes::STOCK_MOVEMENTS)?;
        fields.day("ocrnDt", rules.now)?;
        fields.optional_text("remark", 400)?;
        check_users(fields, &WHO)?;

        let lines = lines::read(fields)?;
        let mut sums = LineSums::default();
        let lines = lines
            .iter()
            .zip(1..)
            .map(|(line, number)| read_goods(line, number, rules, taxpayer, &mut sums))
            .collect::<Result<_, _>>()?;
        check_totals(fields, &sums)?;
        Ok(Self {
            number,
            goods_in: kind.starts_with('0'),
            other_branch: other_pin.zip(other_bhf),
            lines,
            row: Row::new(fields, rules.now),
        })
    }
}

/// `regTyCd` belongs to the root. Integrators put it into the lines, so the text is known.
fn check_registration(fields: &Fields<'_>) -> Result<(), Refusal> {
    if fields.raw("regTyCd").is_some() {
        return fields.code("regTyCd", &codes::REGISTRATION_TYPES).map(drop);
    }
    let message = "Request parameter error[<regTyCd> : may not be empty]";
    let text = "regTyCd cannot be null".to_owned();
    Err(Refusal::new(RefusalKind::Fields, "910", message, text))
}

fn read_goods(
    line: &Fields<'_>,
    line_number: i64,
    rules: SaleRules,
    taxpayer: &Taxpayer,
    sums: &mut LineSums,
) -> Result<MovedGoods, Refusal> {
    lines::check_sequence(line, line_number)?;
    let item = line.text("itemCd", 20)?;
    let class = line.text("itemClsCd", 10)?;
    line.text("itemNm", 200)?;
    line.check_optional_texts(&[("bcd", 20), ("itemExprDt", 8)])?;
    line.code("pkgUnitCd", &codes::PACKAGES)?;
    line.code("qtyUnitCd", &codes::UNITS)?;
    let quantity = line.amount("qty", 13, 2)?;
    for (name, value) in [("pkg", line.amount("pkg", 13, 2)?), ("qty", quantity)] {
        if value.is_zero() {
            return Err(line.missing(name));
        }
    }
    add_amounts(line, line_number, quantity, rules, sums)?;

    let tax_type = line.text("taxTyCd", 5)?;
    registered_item::check(taxpayer, &item, &class, &tax_type)?;
    Ok(MovedGoods { item, quantity })
}

fn add_amounts(
    line: &Fields<'_>,
    line_number: i64,
    quantity: Decimal,
    rules: SaleRules,
    sums: &mut LineSums,
) -> Result<(), Refusal> {
    let price = line.amount("prc", 15, 2)?;
    let supply = line.amount("splyAmt", 18, 2)?;
    let discount = line.amount("totDcAmt", 18, 2)?;
    let total = line.amount("totAmt", 18, 2)?;
    if total.is_zero() {
        return Err(line.missing("totAmt"));
    }
    // As in a sale, only the gateway compares prices.
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

/// A total of 0 counts as empty, whatever the lines add up to.
fn check_totals(fields: &Fields<'_>, sums: &LineSums) -> Result<(), Refusal> {
    let total = fields.optional_amount("totAmt", 18, 2)?;
    if total.is_none_or(|total| total.is_zero()) {
        return Err(Refusal::broken_rule("Expected a value for totAmt".into()));
    }
    expect_sum(fields, "totTaxblAmt", sums.taxable.iter().sum())?;
    expect_sum(fields, "totTaxAmt", sums.tax.iter().sum())?;
    expect_sum(fields, "totAmt", sums.total)
}
