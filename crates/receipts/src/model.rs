//! The printed receipt: one model, from which every form is drawn.

use std::fmt;

use jiff::civil::DateTime;
use jiff::tz::Offset;
use risiti_domain::{InvoiceKind, TaxType};
use rust_decimal::Decimal;

use crate::choices::Choices;
use crate::clean_text::{clean, clean_some};
use crate::error::ReceiptError;
use crate::filed_request::{FiledRequest, FiledTax};
use crate::input::{Answer, Credit, Merchant, ReceiptInput, Reduction};
use crate::label::Label;
use crate::logo::Logo;
use crate::{qr, sums};

/// KRA's clock. Kenya keeps UTC+3 all year.
const NAIROBI: Offset = Offset::constant(3);
/// The buyer's name that is filed where none is known.
const NO_NAME: &str = "N/A";
/// KRA's fields for a buyer's name, an item's name and a trader's number have 60, 200 and 50
/// characters.
const BUYER_CHARS_MAX: usize = 60;
const ITEM_CHARS_MAX: usize = 200;
const NUMBER_CHARS_MAX: usize = 50;
const SELLER_CHARS_MAX: usize = 100;
const MESSAGE_CHARS_MAX: usize = 300;
const INTERNAL_DATA_CHARS: usize = 26;

/// A receipt whose parts are all there and whose figures add up. Its amounts are positive, as filed.
#[derive(Clone)]
pub struct PrintedReceipt {
    pub(crate) label: Label,
    pub(crate) choices: Choices,
    pub(crate) seller: Seller,
    pub(crate) buyer: Option<Buyer>,
    pub(crate) credit: Option<Credit>,
    pub(crate) lines: Vec<Line>,
    /// In the order of `TaxType::ALL`.
    pub(crate) taxes: [FiledTax; 5],
    pub(crate) taxable: Decimal,
    pub(crate) tax: Decimal,
    pub(crate) total: Decimal,
    pub(crate) payment_type: String,
    pub(crate) control_unit: ControlUnit,
    pub(crate) trader_invoice_no: String,
    pub(crate) sent_at: DateTime,
    pub(crate) link: String,
}

#[derive(Clone)]
pub(crate) struct Seller {
    pub(crate) trade_name: String,
    pub(crate) address: String,
    pub(crate) pin: String,
    pub(crate) opening_message: Option<String>,
    pub(crate) closing_message: Option<String>,
    pub(crate) logo: Option<Logo>,
    pub(crate) kra_logo: Option<Logo>,
}

/// It has a name, a PIN, or both.
#[derive(Clone)]
pub(crate) struct Buyer {
    pub(crate) name: Option<String>,
    pub(crate) pin: Option<String>,
}

#[derive(Clone)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) price: Decimal,
    pub(crate) quantity: Decimal,
    /// Before the discount.
    pub(crate) supply: Decimal,
    pub(crate) discount_percent: Decimal,
    pub(crate) discount: Decimal,
    pub(crate) tax_type: TaxType,
    pub(crate) reduction: Option<Reduction>,
}

#[derive(Clone)]
pub(crate) struct ControlUnit {
    pub(crate) id: String,
    pub(crate) receipt_no: i64,
    pub(crate) total_receipt_no: i64,
    pub(crate) internal_data: String,
    pub(crate) signature: String,
    pub(crate) issued_at: DateTime,
}

impl PrintedReceipt {
    /// Reads the filed request and joins it with KRA's answer and what the merchant knows.
    pub fn read(input: ReceiptInput<'_>) -> Result<Self, ReceiptError> {
        let filed = FiledRequest::read(input.request)?;
        sums::check(&filed)?;
        let control_unit = ControlUnit::read(&input.answer)?;
        let link = qr::link(
            input.environment,
            &filed.seller_pin,
            &filed.branch,
            &control_unit.signature,
        )?;
        Ok(Self {
            label: Label::of(filed.kind, input.print),
            choices: input.choices,
            buyer: Buyer::read(&filed),
            credit: read_credit(filed.kind, input.credit)?,
            lines: read_lines(&filed, &input.reductions)?,
            taxes: filed.taxes,
            taxable: filed.taxable,
            tax: filed.tax,
            total: filed.total,
            payment_type: filed.payment_type,
            control_unit,
            trader_invoice_no: clean_some(Some(&filed.trader_invoice_no), NUMBER_CHARS_MAX)
                .ok_or(ReceiptError::RequestLacks("trdInvcNo"))?,
            sent_at: filed.sent_at,
            link,
            seller: Seller::read(filed.seller_pin, input.merchant)?,
        })
    }

    pub fn label(&self) -> Label {
        self.label
    }

    /// The same receipt as a copy: everything is as on the original but the label and the marks of
    /// a copy.
    pub fn copy(&self) -> Self {
        Self {
            label: self.label.of_copy(),
            ..self.clone()
        }
    }

    /// The link that the QR code spells.
    pub fn link(&self) -> &str {
        &self.link
    }

    pub fn cu_invoice_no(&self) -> String {
        format!("{}/{}", self.control_unit.id, self.control_unit.receipt_no)
    }
}

/// It names the receipt and nobody on it.
impl fmt::Debug for PrintedReceipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "PrintedReceipt({} {})",
            self.cu_invoice_no(),
            self.label.as_str()
        )
    }
}

impl Seller {
    fn read(pin: String, merchant: Merchant) -> Result<Self, ReceiptError> {
        let needed = |text: &str, what| {
            clean_some(Some(text), SELLER_CHARS_MAX).ok_or(ReceiptError::MerchantLacks(what))
        };
        Ok(Self {
            trade_name: needed(&merchant.trade_name, "trade name")?,
            address: needed(&merchant.address, "shop address")?,
            pin,
            opening_message: clean_some(merchant.opening_message.as_deref(), MESSAGE_CHARS_MAX),
            closing_message: clean_some(merchant.closing_message.as_deref(), MESSAGE_CHARS_MAX),
            logo: merchant.logo,
            kra_logo: merchant.kra_logo,
        })
    }
}

impl Buyer {
    fn read(filed: &FiledRequest) -> Option<Self> {
        let buyer = Self {
            name: clean_some(filed.buyer_name.as_deref(), BUYER_CHARS_MAX)
                .filter(|name| name != NO_NAME),
            pin: clean_some(filed.buyer_pin.as_deref(), BUYER_CHARS_MAX),
        };
        (buyer.name.is_some() || buyer.pin.is_some()).then_some(buyer)
    }
}

impl ControlUnit {
    fn read(answer: &Answer) -> Result<Self, ReceiptError> {
        let lacks = ReceiptError::AnswerLacks;
        if answer.receipt_no <= 0 {
            return Err(lacks("receipt number"));
        }
        let text = |text: &Option<String>, what| {
            clean_some(text.as_deref(), NUMBER_CHARS_MAX).ok_or(lacks(what))
        };
        let internal_data = text(&answer.internal_data, "internal data")?;
        if internal_data.chars().count() != INTERNAL_DATA_CHARS {
            return Err(lacks("internal data of 26 characters"));
        }
        Ok(Self {
            id: text(&answer.control_unit_id, "control unit id")?,
            receipt_no: answer.receipt_no,
            total_receipt_no: answer
                .total_receipt_no
                .filter(|number| *number > 0)
                .ok_or(lacks("total receipt number"))?,
            internal_data,
            // The QR code takes it as it is, so that it is not cleaned.
            signature: answer.signature.clone().ok_or(lacks("signature"))?,
            issued_at: answer
                .issued_at
                .map(|at| NAIROBI.to_datetime(at))
                .ok_or(lacks("time"))?,
        })
    }
}

fn read_credit(kind: InvoiceKind, credit: Option<Credit>) -> Result<Option<Credit>, ReceiptError> {
    match (kind, credit) {
        (InvoiceKind::Sale, None) => Ok(None),
        (InvoiceKind::Sale, Some(_)) => Err(ReceiptError::OriginalOfSale),
        (InvoiceKind::CreditNote, credit) => {
            let credit = credit.ok_or(ReceiptError::OriginalInvoice)?;
            let number = clean(&credit.original_cu_invoice_no, NUMBER_CHARS_MAX);
            if !is_cu_invoice_no(&number) {
                return Err(ReceiptError::OriginalInvoice);
            }
            Ok(Some(Credit {
                original_cu_invoice_no: number,
                reason: clean_some(credit.reason.as_deref(), MESSAGE_CHARS_MAX),
            }))
        }
    }
}

/// A control unit's id, a slash and a receipt number.
fn is_cu_invoice_no(text: &str) -> bool {
    text.split_once('/').is_some_and(|(id, number)| {
        !id.is_empty()
            && id.bytes().all(|b| b.is_ascii_alphanumeric())
            && !number.is_empty()
            && number.bytes().all(|b| b.is_ascii_digit())
    })
}

fn read_lines(filed: &FiledRequest, reductions: &[Reduction]) -> Result<Vec<Line>, ReceiptError> {
    for reduction in reductions {
        if !(1..=filed.lines.len()).contains(&reduction.line) {
            return Err(ReceiptError::ReductionLine(reduction.line));
        }
        let percents = Decimal::ZERO..=Decimal::ONE_HUNDRED;
        if reduction
            .percent
            .is_some_and(|percent| !percents.contains(&percent))
        {
            return Err(ReceiptError::ReductionPercent(reduction.line));
        }
    }
    let lines = filed.lines.iter().enumerate().map(|(index, line)| {
        let reduction = reductions.iter().find(|one| one.line == index + 1);
        Ok(Line {
            name: clean_some(Some(&line.name), ITEM_CHARS_MAX)
                .ok_or(ReceiptError::RequestLacks("itemNm"))?,
            price: line.price,
            quantity: line.quantity,
            supply: line.supply,
            discount_percent: line.discount_percent,
            discount: line.discount,
            tax_type: line.tax_type,
            reduction: reduction.map(|one| Reduction {
                narration: clean(&one.narration, NUMBER_CHARS_MAX),
                ..one.clone()
            }),
        })
    });
    lines.collect()
}
