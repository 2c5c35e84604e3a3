//! The blocks of a printed receipt as texts: every label, order and sign, once for all forms.
//!
//! The order is that of pages 8 and 10 of KRA's TIS specification, second-hand.

use risiti_domain::TaxType;
use rust_decimal::Decimal;

use crate::amounts::{money, plain, taken_off, unit_price};
use crate::choices::{ControlUnitTime, ItemsNumber};
use crate::model::{Buyer, Line, PrintedReceipt};
use crate::tax_rows;

pub(crate) const COPY: &str = "COPY";
pub(crate) const NOT_OFFICIAL: &str = "THIS IS NOT AN OFFICIAL RECEIPT";
/// Word for word as KRA wants it. It is broken here on a roll.
pub(crate) const CREDIT_NOTICE: [&str; 2] =
    ["CREDIT NOTE IS APPROVED ONLY FOR", "ORIGINAL SALES RECEIPT"];

/// A label, and a value beside or below it.
pub(crate) type Row = (String, String);

pub(crate) struct View {
    pub(crate) trade_name: String,
    pub(crate) address: String,
    pub(crate) pin: String,
    pub(crate) title: &'static str,
    pub(crate) credit: Option<CreditView>,
    pub(crate) opening: Option<String>,
    pub(crate) copy: Option<CopyMark>,
    pub(crate) buyer: Vec<Row>,
    pub(crate) items: Vec<ItemView>,
    pub(crate) totals: Vec<Row>,
    pub(crate) payment: Row,
    pub(crate) items_number: Row,
    /// A credit note has its rates among the totals.
    pub(crate) tax_table: Option<TaxTable>,
    pub(crate) control_unit: ControlUnitView,
    pub(crate) system: SystemView,
    pub(crate) closing: Option<String>,
}

pub(crate) struct CreditView {
    pub(crate) original: Row,
    pub(crate) reason: Option<Row>,
}

pub(crate) struct CopyMark {
    pub(crate) sentence: Option<&'static str>,
}

pub(crate) struct ItemView {
    pub(crate) name: String,
    pub(crate) price_and_quantity: String,
    pub(crate) amount: String,
    pub(crate) reduction: Option<Row>,
}

pub(crate) struct TaxTable {
    pub(crate) heads: [&'static str; 3],
    pub(crate) rows: Vec<[String; 3]>,
}

pub(crate) struct ControlUnitView {
    pub(crate) heading: &'static str,
    pub(crate) date: Row,
    pub(crate) time: Row,
    /// The id, the CU invoice number and the counter.
    pub(crate) numbers: Vec<Row>,
    pub(crate) internal_data: Row,
    pub(crate) signature: Row,
}

pub(crate) struct SystemView {
    pub(crate) heading: &'static str,
    pub(crate) number: Row,
    pub(crate) date: Row,
    pub(crate) time: Row,
}

impl View {
    pub(crate) fn of(receipt: &PrintedReceipt) -> Self {
        let credit = receipt.label.is_credit();
        let payment = payment_name(&receipt.payment_type);
        Self {
            trade_name: receipt.seller.trade_name.to_uppercase(),
            address: receipt.seller.address.clone(),
            pin: format!("PIN: {}", receipt.seller.pin),
            title: if credit { "CREDIT NOTE" } else { "TAX INVOICE" },
            credit: receipt.credit.as_ref().map(|credit| CreditView {
                original: row("ORIGINAL CU INVOICE NO.#:", &credit.original_cu_invoice_no),
                reason: credit.reason.as_ref().map(|reason| row("Reason:", reason)),
            }),
            opening: receipt.seller.opening_message.clone(),
            copy: receipt.label.is_copy().then(|| CopyMark {
                sentence: receipt.choices.sentence_on_copies.then_some(NOT_OFFICIAL),
            }),
            buyer: receipt.buyer.as_ref().map(buyer_rows).unwrap_or_default(),
            items: receipt
                .lines
                .iter()
                .map(|line| item(receipt, line))
                .collect(),
            totals: if credit {
                tax_rows::of_credit_note(receipt)
            } else {
                totals_of_sale(receipt)
            },
            payment: row(payment, &money(receipt.signed(receipt.total))),
            items_number: row("ITEMS NUMBER", &items_number(receipt)),
            tax_table: (!credit).then(|| TaxTable {
                heads: ["Rate", "Taxable Amount", "VAT"],
                rows: tax_rows::of_sale(receipt),
            }),
            control_unit: control_unit(receipt),
            system: system(receipt),
            closing: receipt.seller.closing_message.clone(),
        }
    }
}

impl PrintedReceipt {
    /// An amount as printed: everything on a credit note is negative.
    pub(crate) fn signed(&self, amount: Decimal) -> Decimal {
        if self.label.is_credit() {
            -amount
        } else {
            amount
        }
    }
}

pub(crate) fn row(label: &str, value: &str) -> Row {
    (label.to_owned(), value.to_owned())
}

fn buyer_rows(buyer: &Buyer) -> Vec<Row> {
    let name = buyer.name.as_ref().map(|name| row("Buyer:", name));
    let pin = buyer.pin.as_ref().map(|pin| row("Buyer PIN:", pin));
    name.into_iter().chain(pin).collect()
}

fn item(receipt: &PrintedReceipt, line: &Line) -> ItemView {
    let letter = match line.tax_type {
        TaxType::A => "A-EX",
        other => other.as_str(),
    };
    ItemView {
        name: line.name.clone(),
        price_and_quantity: format!("{} x {}", unit_price(line.price), plain(line.quantity)),
        amount: format!("{}{letter}", money(receipt.signed(line.supply))),
        reduction: reduction(receipt, line),
    }
}

/// The discount that was filed, in the merchant's words where there are some. A reduction that was
/// not filed has no amount, because KRA's figures hold none.
fn reduction(receipt: &PrintedReceipt, line: &Line) -> Option<Row> {
    let discounted = !line.discount.is_zero();
    let words = line.reduction.as_ref();
    if !discounted && words.is_none() {
        return None;
    }
    let narration = words
        .map(|words| words.narration.as_str())
        .filter(|narration| !narration.is_empty())
        .unwrap_or("Discount");
    let percent = Some(line.discount_percent)
        .filter(|percent| !percent.is_zero())
        .or_else(|| words.and_then(|words| words.percent));
    let label = match percent {
        Some(percent) => format!("{narration} {}%", plain(percent)),
        None => narration.to_owned(),
    };
    let amount = if discounted {
        taken_off(receipt.signed(line.discount))
    } else {
        String::new()
    };
    Some((label, amount))
}

fn totals_of_sale(receipt: &PrintedReceipt) -> Vec<Row> {
    let sum = |part: fn(&Line) -> Decimal| receipt.lines.iter().map(part).sum::<Decimal>();
    let discount = sum(|line| line.discount);
    let exempt = receipt.taxes[0].taxable;
    let mut rows = Vec::new();
    if !discount.is_zero() {
        let before = sum(|line| line.supply);
        rows.push(row("TOTAL BEFORE DISCOUNT", &money(before)));
        rows.push(row("TOTAL DISCOUNT AWARDED", &taken_off(discount)));
    }
    rows.push(row("SUB TOTAL", &money(receipt.taxable)));
    rows.push(row("VAT", &money(receipt.tax)));
    if receipt.choices.exempt_total && !exempt.is_zero() {
        rows.push(row("TOTAL TAX EXEMPTED", &money(exempt)));
    }
    rows.push(row("TOTAL (KES)", &money(receipt.total)));
    rows
}

/// KRA's payment types, class 07 of its code list.
fn payment_name(code: &str) -> &'static str {
    match code {
        "01" => "CASH",
        "02" => "CREDIT",
        "03" => "CASH/CREDIT",
        "04" => "BANK CHECK",
        "05" => "DEBIT/CREDIT CARD",
        "06" => "MOBILE MONEY",
        _ => "OTHER",
    }
}

fn items_number(receipt: &PrintedReceipt) -> String {
    match receipt.choices.items_number {
        ItemsNumber::Lines => receipt.lines.len().to_string(),
        ItemsNumber::Pieces => plain(receipt.lines.iter().map(|line| line.quantity).sum()),
    }
}

fn control_unit(receipt: &PrintedReceipt) -> ControlUnitView {
    let unit = &receipt.control_unit;
    let at = match receipt.choices.control_unit_time {
        ControlUnitTime::ControlUnit => unit.issued_at,
        ControlUnitTime::Sent => receipt.sent_at,
    };
    let label = receipt.label.as_str();
    let number = receipt.cu_invoice_no();
    let number = if receipt.choices.label_on_cu_invoice_no {
        format!("{number} {label}")
    } else {
        number
    };
    let counter = format!("{}/{} {label}", unit.receipt_no, unit.total_receipt_no);
    ControlUnitView {
        heading: "SCU INFORMATION",
        date: row("Date:", &at.strftime("%d/%m/%Y").to_string()),
        time: row("Time:", &at.strftime("%H:%M:%S").to_string()),
        numbers: vec![
            row("SCU ID:", &unit.id),
            row("CU INVOICE NO.:", &number),
            row("Receipt counter:", &counter),
        ],
        internal_data: row("Internal Data:", &dashed(&unit.internal_data)),
        signature: row("Receipt Signature:", &dashed(&unit.signature)),
    }
}

fn system(receipt: &PrintedReceipt) -> SystemView {
    SystemView {
        heading: "TIS INFORMATION",
        number: row("RECEIPT NUMBER:", &receipt.trader_invoice_no),
        date: row("DATE:", &receipt.sent_at.strftime("%d/%m/%Y").to_string()),
        time: row("TIME:", &receipt.sent_at.strftime("%H:%M:%S").to_string()),
    }
}

/// Puts a dash after every four characters. It is for the eye only: KRA's link has none.
fn dashed(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let groups: Vec<String> = chars
        .chunks(4)
        .map(|group| group.iter().collect())
        .collect();
    groups.join("-")
}
