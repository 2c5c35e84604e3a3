//! A send that is about to be made, as the statement that begins it takes it.

use jiff::Timestamp;
use risiti_domain::{Buyer, InvoiceId, KraPin};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::lanes::leases::Claim;

/// A send that is about to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewSend<'a> {
    pub invoice: InvoiceId,
    pub invoice_no: i64,
    /// The bytes to send.
    pub body: &'a [u8],
    pub first_sent_at: Timestamp,
    /// The buyer that the body names.
    pub buyer: &'a Buyer,
    /// The trader's own number in the body.
    pub trader_invoice_no: &'a str,
}

/// The values of a send as they are stored.
pub(crate) struct SendColumns<'a> {
    send: &'a NewSend<'a>,
    device: Uuid,
    claim: Uuid,
    invoice: Uuid,
    buyer_name: &'a str,
    buyer_pin: Option<&'a str>,
}

impl NewSend<'_> {
    pub(crate) fn columns(&self, claim: &Claim) -> SendColumns<'_> {
        SendColumns {
            send: self,
            device: claim.device.uuid(),
            claim: claim.claim_id,
            invoice: self.invoice.uuid(),
            buyer_name: self.buyer.name.as_str(),
            buyer_pin: self.buyer.pin.as_ref().map(KraPin::as_str),
        }
    }
}

impl SendColumns<'_> {
    /// Device, claim, invoice, number, body, first send, buyer's name and PIN, the trader's number.
    pub(crate) fn params(&self) -> [&(dyn ToSql + Sync); 9] {
        [
            &self.device,
            &self.claim,
            &self.invoice,
            &self.send.invoice_no,
            &self.send.body,
            &self.send.first_sent_at,
            &self.buyer_name,
            &self.buyer_pin,
            &self.send.trader_invoice_no,
        ]
    }
}
