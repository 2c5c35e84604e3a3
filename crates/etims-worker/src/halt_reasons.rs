//! Why a lane halts, in words for the person who looks. Each reason names the command that ends the
//! halt (protocol D15).

use risiti_domain::DeviceId;
use risiti_etims::{Answer, HaltReason};
use risiti_ledger::LaneInvoice;

/// The device, its credentials or its address are wrong.
pub(crate) fn needs_device_fix(device: DeviceId, reason: HaltReason, answer: &Answer) -> String {
    format!(
        "{reason} ({answer}): mend it with `risiti-admin device update {device}`, or go on as it is with \
         `risiti-replay lanes resume {device}`"
    )
}

/// The number holds a sale that none of our invoices sent.
pub(crate) fn foreign_sale(invoice: &LaneInvoice) -> String {
    needs_resolving(invoice, "the number holds a sale that is none of ours")
}

/// A VSCU cannot be asked what it has (protocol D16).
pub(crate) fn probably_accepted(invoice: &LaneInvoice, answer: &Answer) -> String {
    needs_resolving(
        invoice,
        &format!("probably accepted, receipt lost ({answer})"),
    )
}

/// A person has to say whose the number is (protocol D11).
pub(crate) fn needs_resolving(invoice: &LaneInvoice, problem: &str) -> String {
    let device = invoice.device;
    let number = invoice.invoice_no;
    format!(
        "{problem}: find out at KRA whose invoice {number} is, then `risiti-replay lanes resolve {device} --invoice-no \
         {number}` with --accepted, --not-accepted or --taken-elsewhere"
    )
}
