//! The sale or credit note to file, and the request body made of it.

use jiff::Timestamp;
use risiti_domain::{InvoiceId, InvoiceKind, PaymentMethod, Phone};
use rust_decimal::Decimal;

use crate::profile::DeviceProfile;

/// One invoice with the number it is sent under.
#[derive(Clone, Debug)]
pub struct SaleDocument {
    /// Travels in `remark`, so that a look-up can tell whose a number is (protocol D8).
    pub invoice_id: InvoiceId,
    pub invoice_no: i64,
    pub kind: InvoiceKind,
    /// The accepted number of the sale a credit note is of.
    pub original_invoice_no: Option<i64>,
    /// The provider's receipt.
    pub trader_invoice_no: String,
    /// Tax-inclusive shillings, positive for credit notes too.
    pub total: Decimal,
    /// Goes onto the invoice only when it is a full number.
    pub phone: Option<Phone>,
    pub method: PaymentMethod,
    /// When the sale was paid.
    pub occurred_at: Timestamp,
    /// When a credit note's reversal happened; taken as the first send where not known.
    pub refunded_at: Option<Timestamp>,
    /// No time in the body is later than this.
    pub first_sent_at: Timestamp,
}

/// The bytes to store and send, the same for every attempt under one number (protocol D6).
pub fn sale_body(_profile: &DeviceProfile, _document: &SaleDocument) -> Vec<u8> {
    Vec::new()
}
