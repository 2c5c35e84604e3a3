//! The sale or credit note to file, and its request body.

use jiff::Timestamp;
use risiti_domain::{Buyer, InvoiceId, InvoiceKind, KraPin, PaymentMethod, Phone, TaxType};
use rust_decimal::{Decimal, RoundingStrategy};

use crate::profile::DeviceProfile;
use crate::text::clip;
use crate::wire::{self, Line, Number, ReceiptHead, Sale, Taxes};
use crate::{dialect, time};

/// KRA asks who entered and who changed the document. It is this program.
const ENTERED_BY: &str = "risiti";
const NORMAL: &str = "N";
const APPROVED: &str = "02";
const REFUND: &str = "06";
/// The package and unit codes that the gateway was seen to accept.
const PACKAGE_NET: &str = "NT";
const UNIT_NUMBER: &str = "NO";

/// One invoice with the number it is sent under.
#[derive(Clone, Debug)]
pub struct SaleDocument {
    /// It travels in `remark`, so that a look-up shows whose a number is (protocol D8).
    pub invoice_id: InvoiceId,
    pub invoice_no: i64,
    pub kind: InvoiceKind,
    /// The accepted number of the sale a credit note is of.
    pub original_invoice_no: Option<i64>,
    /// The trader's own number of this document, which no other document has.
    pub trader_invoice_no: String,
    /// Shillings with tax, positive for credit notes too.
    pub total: Decimal,
    /// A sale without a name could never be credited, because KRA compares the names (seen on the
    /// gateway, 2026-09-17). A credit note names the buyer of its sale.
    pub buyer: Buyer,
    /// Only a full number goes onto the invoice.
    pub phone: Option<Phone>,
    pub method: PaymentMethod,
    /// When the sale was paid.
    pub occurred_at: Timestamp,
    /// When the reversal of a credit note happened. The first send stands in where it is not known.
    pub refunded_at: Option<Timestamp>,
    /// No time in the body is later.
    pub first_sent_at: Timestamp,
}

/// Builds the bytes to store and send. They are the same for every attempt under one number
/// (protocol D6).
pub fn sale_body(profile: &DeviceProfile, document: &SaleDocument) -> Vec<u8> {
    wire::bytes(&sale(profile, document))
}

fn sale<'a>(profile: &'a DeviceProfile, document: &'a SaleDocument) -> Sale<'a> {
    let credit = document.kind == InvoiceKind::CreditNote;
    let confirmed_at = time::to_second(document.confirmed_at());
    let lines = vec![line(profile, document.total)];
    let sum = |part: fn(&Line) -> Number| Number(lines.iter().map(|line| part(line).0).sum());
    Sale {
        tin: &profile.pin,
        bhf_id: &profile.branch,
        trd_invc_no: clip(&document.trader_invoice_no, 50),
        invc_no: document.invoice_no,
        org_invc_no: document.original_invoice_no.filter(|_| credit).unwrap_or(0),
        cust_tin: buyer_pin(profile, document),
        cust_nm: document.buyer.name.as_str(),
        sales_ty_cd: NORMAL,
        rcpt_ty_cd: if credit { "R" } else { "S" },
        pmt_ty_cd: payment_type(document.method),
        sales_stts_cd: APPROVED,
        sales_dt: time::to_day(document.confirmed_at()),
        stock_rls_dt: confirmed_at.clone(),
        cncl_req_dt: (),
        cncl_dt: (),
        rfd_dt: credit.then(|| confirmed_at.clone()),
        rfd_rsn_cd: credit.then_some(REFUND),
        cfm_dt: confirmed_at,
        tot_item_cnt: lines.len(),
        taxes: taxes(profile, &lines),
        tot_taxbl_amt: sum(|line| line.taxbl_amt),
        tot_tax_amt: sum(|line| line.tax_amt),
        tot_amt: sum(|line| line.tot_amt),
        prchr_acptc_yn: "N",
        remark: document.invoice_id.to_string(),
        regr_id: ENTERED_BY,
        regr_nm: ENTERED_BY,
        modr_id: ENTERED_BY,
        modr_nm: ENTERED_BY,
        receipt: receipt_head(profile, document),
        item_list: lines,
    }
}

impl SaleDocument {
    /// The time of the payment or of the reversal. It is never before the sale and never after the
    /// first send, because KRA refuses both.
    fn confirmed_at(&self) -> Timestamp {
        let own = match self.kind {
            InvoiceKind::Sale => self.occurred_at,
            InvoiceKind::CreditNote => self
                .refunded_at
                .unwrap_or(self.first_sent_at)
                .max(self.occurred_at),
        };
        own.min(self.first_sent_at)
    }
}

/// Builds the one line. Prices include tax, as the gateway reads and checks them. The other
/// dialects do not check.
fn line(profile: &DeviceProfile, total: Decimal) -> Line {
    let total = total.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
    let split = profile.tax_rates.split(profile.item.tax_type, total);
    Line {
        item_seq: 1,
        item_cd: clip(&profile.item.code, 20),
        item_cls_cd: clip(&profile.item.class, 10),
        item_nm: clip(&profile.item.name, 200),
        bcd: (),
        pkg_unit_cd: PACKAGE_NET,
        pkg: Number(Decimal::ONE),
        qty_unit_cd: UNIT_NUMBER,
        qty: Number(Decimal::ONE),
        prc: Number(total),
        sply_amt: Number(total),
        dc_rt: Number::default(),
        dc_amt: Number::default(),
        isrcc_cd: (),
        isrcc_nm: (),
        isrc_rt: (),
        isrc_amt: (),
        tax_ty_cd: profile.item.tax_type,
        taxbl_amt: Number(split.taxable),
        tax_amt: Number(split.tax),
        tot_amt: Number(total),
    }
}

fn taxes(profile: &DeviceProfile, lines: &[Line]) -> Taxes {
    let mut taxes = Taxes::default();
    for (column, tax_type) in TaxType::ALL.iter().enumerate() {
        taxes.rates[column] = Number(profile.tax_rates.rate(*tax_type));
        for line in lines.iter().filter(|line| line.tax_ty_cd == *tax_type) {
            taxes.taxable[column].0 += line.taxbl_amt.0;
            taxes.tax[column].0 += line.tax_amt.0;
        }
    }
    taxes
}

fn buyer_pin<'a>(profile: &DeviceProfile, document: &'a SaleDocument) -> Option<Option<&'a str>> {
    let pin = document.buyer.pin.as_ref().map(KraPin::as_str);
    dialect::buyer_pin(profile.dialect, pin)
}

fn receipt_head<'a>(profile: &DeviceProfile, document: &'a SaleDocument) -> ReceiptHead<'a> {
    ReceiptHead {
        cust_tin: buyer_pin(profile, document),
        cust_mbl_no: document
            .phone
            .as_ref()
            .and_then(Phone::full)
            .map(|digits| clip(digits, 20)),
        rcpt_pbct_dt: time::to_second(document.first_sent_at),
        trde_nm: profile.trade_name.as_deref().map(|name| clip(name, 20)),
        adrs: (),
        top_msg: (),
        btm_msg: (),
        prchr_acptc_yn: "N",
    }
}

/// The code in class 07. It has none for a bank transfer, and a cheque is the nearest.
fn payment_type(method: PaymentMethod) -> &'static str {
    match method {
        PaymentMethod::MobileMoney => "06",
        PaymentMethod::Card => "05",
        PaymentMethod::Bank => "04",
        PaymentMethod::Other => "07",
    }
}
