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
    let problem = if invoice.history.others_unknown {
        format!(
            "the number is taken ({answer}), by this invoice or by another of ours that was sent under it before"
        )
    } else {
        format!("probably accepted, receipt lost ({answer})")
    };
    needs_resolving(invoice, &problem)
}

/// The VSCU refuses what it may have accepted before.
pub(crate) fn refused_after_unknown(invoice: &LaneInvoice, answer: &Answer) -> String {
    needs_resolving(
        invoice,
        &format!("refused now ({answer}), but an earlier send of it was never answered"),
    )
}

/// The VSCU speaks, and says neither that it has the sale nor that it refuses it.
pub(crate) fn unsettled_at_vscu(invoice: &LaneInvoice, answer: &Answer) -> String {
    needs_resolving(
        invoice,
        &format!("for an hour the VSCU neither accepted nor refused the sale ({answer})"),
    )
}

/// A person has to say whose the number is (protocol D11).
pub(crate) fn needs_resolving(invoice: &LaneInvoice, problem: &str) -> String {
    let device = invoice.device;
    let number = invoice.invoice_no;
    let id = invoice.id;
    format!(
        "{problem}: find out at KRA whose invoice {number} is, then `risiti-replay lanes resolve {device} --invoice-no \
         {number}` with --accepted, --not-accepted or --taken-elsewhere. The lane goes on without the invoice after \
         `risiti-replay lanes set-aside {device} --invoice {id}`"
    )
}
