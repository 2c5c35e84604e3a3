//! The sales request as it was filed, read back from its own bytes.
//!
//! Every figure of a receipt comes from here and none from the order, so that paper and KRA's books
//! cannot differ. The three dialects name the fields alike. A walk-in buyer's PIN is null, empty or
//! missing, and numbers may be quoted.

use jiff::civil::DateTime;
use risiti_domain::{InvoiceKind, TaxType};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::amounts::{read_count, read_money, read_number};
use crate::error::ReceiptError;

/// The largest request read. A request of 999 lines has less than 1 MiB.
pub const REQUEST_BYTES_MAX: usize = 4 * 1024 * 1024;
/// KRA's line number has three digits.
pub const LINES_MAX: usize = 999;

pub(crate) struct FiledRequest {
    pub(crate) kind: InvoiceKind,
    pub(crate) seller_pin: String,
    pub(crate) branch: String,
    pub(crate) trader_invoice_no: String,
    pub(crate) buyer_pin: Option<String>,
    pub(crate) buyer_name: Option<String>,
    pub(crate) payment_type: String,
    /// When the request was sent, in Nairobi's time.
    pub(crate) sent_at: DateTime,
    pub(crate) item_count: u64,
    /// In the order of `TaxType::ALL`.
    pub(crate) taxes: [FiledTax; 5],
    pub(crate) taxable: Decimal,
    pub(crate) tax: Decimal,
    pub(crate) total: Decimal,
    pub(crate) lines: Vec<FiledLine>,
}

#[derive(Clone, Copy, Default)]
pub(crate) struct FiledTax {
    pub(crate) rate: Decimal,
    pub(crate) taxable: Decimal,
    pub(crate) tax: Decimal,
}

pub(crate) struct FiledLine {
    pub(crate) name: String,
    pub(crate) price: Decimal,
    pub(crate) quantity: Decimal,
    pub(crate) supply: Decimal,
    pub(crate) discount_percent: Decimal,
    pub(crate) discount: Decimal,
    pub(crate) tax_type: TaxType,
    pub(crate) taxable: Decimal,
    pub(crate) tax: Decimal,
    pub(crate) total: Decimal,
}

/// A number as its JSON text.
type Raw<'a> = Option<&'a RawValue>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    tin: Option<String>,
    bhf_id: Option<String>,
    trd_invc_no: Option<String>,
    cust_tin: Option<String>,
    cust_nm: Option<String>,
    sales_ty_cd: Option<String>,
    rcpt_ty_cd: Option<String>,
    pmt_ty_cd: Option<String>,
    cfm_dt: Option<String>,
    #[serde(borrow)]
    tot_item_cnt: Raw<'a>,
    #[serde(borrow, rename = "taxblAmtA")]
    taxable_a: Raw<'a>,
    #[serde(borrow, rename = "taxblAmtB")]
    taxable_b: Raw<'a>,
    #[serde(borrow, rename = "taxblAmtC")]
    taxable_c: Raw<'a>,
    #[serde(borrow, rename = "taxblAmtD")]
    taxable_d: Raw<'a>,
    #[serde(borrow, rename = "taxblAmtE")]
    taxable_e: Raw<'a>,
    #[serde(borrow, rename = "taxRtA")]
    rate_a: Raw<'a>,
    #[serde(borrow, rename = "taxRtB")]
    rate_b: Raw<'a>,
    #[serde(borrow, rename = "taxRtC")]
    rate_c: Raw<'a>,
    #[serde(borrow, rename = "taxRtD")]
    rate_d: Raw<'a>,
    #[serde(borrow, rename = "taxRtE")]
    rate_e: Raw<'a>,
    #[serde(borrow, rename = "taxAmtA")]
    tax_a: Raw<'a>,
    #[serde(borrow, rename = "taxAmtB")]
    tax_b: Raw<'a>,
    #[serde(borrow, rename = "taxAmtC")]
    tax_c: Raw<'a>,
    #[serde(borrow, rename = "taxAmtD")]
    tax_d: Raw<'a>,
    #[serde(borrow, rename = "taxAmtE")]
    tax_e: Raw<'a>,
    #[serde(borrow)]
    tot_taxbl_amt: Raw<'a>,
    #[serde(borrow)]
    tot_tax_amt: Raw<'a>,
    #[serde(borrow)]
    tot_amt: Raw<'a>,
    receipt: Option<Head>,
    #[serde(borrow, default)]
    item_list: Vec<Line<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    cust_tin: Option<String>,
    rcpt_pbct_dt: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    item_cd: Option<String>,
    item_nm: Option<String>,
    #[serde(borrow)]
    prc: Raw<'a>,
    #[serde(borrow)]
    qty: Raw<'a>,
    #[serde(borrow)]
    sply_amt: Raw<'a>,
    #[serde(borrow)]
    dc_rt: Raw<'a>,
    #[serde(borrow)]
    dc_amt: Raw<'a>,
    tax_ty_cd: Option<String>,
    #[serde(borrow)]
    taxbl_amt: Raw<'a>,
    #[serde(borrow)]
    tax_amt: Raw<'a>,
    #[serde(borrow)]
    tot_amt: Raw<'a>,
}

impl FiledRequest {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, ReceiptError> {
        if bytes.len() > REQUEST_BYTES_MAX {
            return Err(ReceiptError::RequestTooLarge(REQUEST_BYTES_MAX));
        }
        // The reader's own message may quote a name, so that only the place is kept.
        let body: Body<'_> =
            serde_json::from_slice(bytes).map_err(|error| ReceiptError::RequestUnreadable {
                line: error.line(),
                column: error.column(),
            })?;
        if !(1..=LINES_MAX).contains(&body.item_list.len()) {
            return Err(ReceiptError::LineCount(body.item_list.len()));
        }
        if some(body.sales_ty_cd.as_deref(), "salesTyCd")? != "N" {
            return Err(ReceiptError::RequestField {
                field: "salesTyCd",
                problem: "not N: trainings and proformas are not printed",
            });
        }
        let head = body.receipt.as_ref();
        let sent_at = head
            .and_then(|head| head.rcpt_pbct_dt.as_deref())
            .or(body.cfm_dt.as_deref());
        Ok(Self {
            kind: kind(&body)?,
            seller_pin: some(body.tin.as_deref(), "tin")?.to_owned(),
            branch: some(body.bhf_id.as_deref(), "bhfId")?.to_owned(),
            trader_invoice_no: some(body.trd_invc_no.as_deref(), "trdInvcNo")?.to_owned(),
            buyer_pin: present(body.cust_tin.clone())
                .or_else(|| present(head.and_then(|head| head.cust_tin.clone()))),
            buyer_name: present(body.cust_nm.clone()),
            payment_type: some(body.pmt_ty_cd.as_deref(), "pmtTyCd")?.to_owned(),
            sent_at: time(some(sent_at, "rcptPbctDt")?)?,
            item_count: read_count(raw(body.tot_item_cnt, "totItemCnt")?, "totItemCnt")?,
            taxes: taxes(&body)?,
            taxable: money(body.tot_taxbl_amt, "totTaxblAmt")?,
            tax: money(body.tot_tax_amt, "totTaxAmt")?,
            total: money(body.tot_amt, "totAmt")?,
            lines: body.item_list.iter().map(line).collect::<Result<_, _>>()?,
        })
    }
}

fn kind(body: &Body<'_>) -> Result<InvoiceKind, ReceiptError> {
    match some(body.rcpt_ty_cd.as_deref(), "rcptTyCd")? {
        "S" => Ok(InvoiceKind::Sale),
        "R" => Ok(InvoiceKind::CreditNote),
        _ => Err(ReceiptError::RequestField {
            field: "rcptTyCd",
            problem: "neither S nor R",
        }),
    }
}

fn taxes(body: &Body<'_>) -> Result<[FiledTax; 5], ReceiptError> {
    let tax = |rate, taxable, tax| {
        Ok(FiledTax {
            rate: percent(raw(rate, "taxRt")?, "taxRt")?,
            taxable: money(taxable, "taxblAmt")?,
            tax: money(tax, "taxAmt")?,
        })
    };
    Ok([
        tax(body.rate_a, body.taxable_a, body.tax_a)?,
        tax(body.rate_b, body.taxable_b, body.tax_b)?,
        tax(body.rate_c, body.taxable_c, body.tax_c)?,
        tax(body.rate_d, body.taxable_d, body.tax_d)?,
        tax(body.rate_e, body.taxable_e, body.tax_e)?,
    ])
}

fn line(line: &Line<'_>) -> Result<FiledLine, ReceiptError> {
    let name = present(line.item_nm.clone()).or_else(|| present(line.item_cd.clone()));
    let tax_type = line.tax_ty_cd.as_deref().map(str::trim);
    Ok(FiledLine {
        name: name.ok_or(ReceiptError::RequestLacks("itemNm"))?,
        price: read_number(raw(line.prc, "prc")?, "prc")?,
        quantity: read_number(raw(line.qty, "qty")?, "qty")?,
        supply: money(line.sply_amt, "splyAmt")?,
        discount_percent: line
            .dc_rt
            .map_or(Ok(Decimal::ZERO), |text| percent(text.get(), "dcRt"))?,
        discount: line
            .dc_amt
            .map_or(Ok(Decimal::ZERO), |text| read_money(text.get(), "dcAmt"))?,
        tax_type: tax_type
            .and_then(|letter| letter.parse().ok())
            .ok_or(ReceiptError::TaxType)?,
        taxable: money(line.taxbl_amt, "taxblAmt")?,
        tax: money(line.tax_amt, "taxAmt")?,
        total: money(line.tot_amt, "totAmt")?,
    })
}

/// Reads `yyyyMMddHHmmss`.
fn time(text: &str) -> Result<DateTime, ReceiptError> {
    let digits = text.len() == 14 && text.bytes().all(|b| b.is_ascii_digit());
    digits
        .then(|| DateTime::strptime("%Y%m%d%H%M%S", text).ok())
        .flatten()
        .ok_or(ReceiptError::RequestField {
            field: "rcptPbctDt",
            problem: "not a time",
        })
}

fn percent(json: &str, field: &'static str) -> Result<Decimal, ReceiptError> {
    let percent = read_number(json, field)?;
    if percent > Decimal::ONE_HUNDRED {
        return Err(ReceiptError::RequestField {
            field,
            problem: "more than 100",
        });
    }
    Ok(percent)
}

fn money(number: Raw<'_>, field: &'static str) -> Result<Decimal, ReceiptError> {
    read_money(raw(number, field)?, field)
}

fn raw<'a>(number: Raw<'a>, field: &'static str) -> Result<&'a str, ReceiptError> {
    number
        .map(RawValue::get)
        .ok_or(ReceiptError::RequestLacks(field))
}

fn some<'a>(text: Option<&'a str>, field: &'static str) -> Result<&'a str, ReceiptError> {
    text.map(str::trim)
        .filter(|text| !text.is_empty())
        .ok_or(ReceiptError::RequestLacks(field))
}

fn present(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty())
}
