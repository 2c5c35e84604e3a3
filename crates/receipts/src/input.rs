//! What a receipt is made from beside the filed request.

use jiff::Timestamp;
use risiti_domain::Environment;
use rust_decimal::Decimal;

use crate::choices::Choices;
use crate::logo::Logo;

/// Everything one receipt is made from. It has no `Debug`, because a request names its buyer.
#[derive(Clone)]
pub struct ReceiptInput<'a> {
    /// The body as it was filed, byte for byte.
    pub request: &'a [u8],
    pub answer: Answer,
    pub environment: Environment,
    pub merchant: Merchant,
    pub print: Print,
    /// What a credit note needs beside its request. A sale has none.
    pub credit: Option<Credit>,
    pub reductions: Vec<Reduction>,
    pub choices: Choices,
}

/// The original is given out once. Every further print is a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Print {
    Original,
    Copy,
}

/// KRA's answer, with the names of `risiti_etims::Receipt`. Parts may be missing there. A receipt
/// without one of them is not printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub receipt_no: i64,
    pub total_receipt_no: Option<i64>,
    pub signature: Option<String>,
    pub internal_data: Option<String>,
    pub control_unit_id: Option<String>,
    pub issued_at: Option<Timestamp>,
}

/// What only the merchant knows.
#[derive(Clone, Debug, Default)]
pub struct Merchant {
    pub trade_name: String,
    /// The shop's address and town, in one line.
    pub address: String,
    pub opening_message: Option<String>,
    pub closing_message: Option<String>,
    /// The merchant's own logo.
    pub logo: Option<Logo>,
    /// KRA's logo, which KRA gives out. A framed "KRA" stands in for it.
    pub kra_logo: Option<Logo>,
}

/// What a credit note refers to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credit {
    /// The sale's CU invoice number, such as `KRACU0400009999/42`. It is never the trader's own.
    pub original_cu_invoice_no: String,
    /// Printed where it is given.
    pub reason: Option<String>,
}

/// What a line of the receipt says about a lower price. KRA's request has no room for these words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reduction {
    /// The number of the filed line, from 1.
    pub line: usize,
    pub narration: String,
    /// For a percent that was not filed, because the net price was.
    pub percent: Option<Decimal>,
}
