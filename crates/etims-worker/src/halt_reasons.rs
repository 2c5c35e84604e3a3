//! Why a lane halts, in words for the person who looks. Each reason names the command that ends the
//! halt (protocol D15).

use risiti_domain::DeviceId;
use risiti_etims::{Answer, HaltReason, expected_number};
use risiti_ledger::{HaltRemedy, LaneInvoice};

/// A halt that a lane is about to make.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Halt {
    pub(crate) reason: String,
    pub(crate) remedy: HaltRemedy,
}

/// The device, its credentials or its address are wrong.
pub(crate) fn needs_device_fix(device: DeviceId, reason: HaltReason, answer: &Answer) -> Halt {
    Halt {
        reason: format!(
            "{reason} ({answer}): mend it with `risiti-admin device update {device}`, or go on as it is with \
             `risiti-replay lanes resume {device}`"
        ),
        remedy: HaltRemedy::DeviceUpdate,
    }
}

/// What KRA does to one invoice after the other is the device's trouble.
pub(crate) fn many_deaths(device: DeviceId, deaths: u32, words: &str) -> Halt {
    Halt {
        reason: format!(
            "{deaths} invoices in a row are dead letters, and KRA accepted none of this device in between ({words}): \
             find out at KRA what is wrong with the device, then `risiti-replay lanes resume {device}` and replay them"
        ),
        remedy: HaltRemedy::LanesResume,
    }
}

/// The lane's next number is not KRA's, and KRA has not taken it.
pub(crate) fn out_of_step(invoice: &LaneInvoice, expected: Option<i64>, answer: &Answer) -> Halt {
    let device = invoice.device;
    let number = invoice.invoice_no;
    let next = match expected {
        Some(expected) => expected.to_string(),
        None => "N".to_owned(),
    };
    let first = if invoice.history.ever_unknown {
        format!(
            "an earlier send under {number} was never answered, so first say that KRA does not have it: \
             `risiti-replay lanes resolve {device} --invoice-no {number} --not-accepted`; then "
        )
    } else {
        String::new()
    };
    Halt {
        reason: format!(
            "KRA expects another invoice number than {number} ({answer}): {first}set the number that KRA expects with \
             `risiti-admin device update {device} --next-invoice-no {next}`"
        ),
        remedy: HaltRemedy::DeviceUpdate,
    }
}

/// The number holds a sale that none of our invoices sent. KRA may have said before how many of its
/// numbers are taken.
pub(crate) fn foreign_sale(invoice: &LaneInvoice) -> Halt {
    let said = invoice.history.last_error.as_deref();
    let expected = said.and_then(expected_number);
    let problem = match expected {
        Some(expected) if expected > invoice.invoice_no + 1 => format!(
            "the number holds a sale that is none of ours, and KRA expects {expected} next. If all numbers before \
             are another system's, `risiti-replay lanes resolve {} --through {} --taken-elsewhere` settles them at \
             once. Otherwise",
            invoice.device,
            expected - 1
        ),
        _ => "the number holds a sale that is none of ours".to_owned(),
    };
    needs_resolving(invoice, &problem)
}

/// A VSCU cannot be asked what it has (protocol D16).
pub(crate) fn probably_accepted(invoice: &LaneInvoice, answer: &Answer) -> Halt {
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
pub(crate) fn refused_after_unknown(invoice: &LaneInvoice, answer: &Answer) -> Halt {
    needs_resolving(
        invoice,
        &format!("refused now ({answer}), but an earlier send of it was never answered"),
    )
}

/// The VSCU speaks, and says neither that it has the sale nor that it refuses it. Another sale may
/// get on where this one does not.
pub(crate) fn unsettled_at_vscu(invoice: &LaneInvoice, answer: &Answer) -> Halt {
    let mut halt = needs_resolving(
        invoice,
        &format!("for an hour the VSCU neither accepted nor refused the sale ({answer})"),
    );
    halt.reason.push_str(&format!(
        ". If KRA does not have it, `risiti-replay lanes set-aside {} --invoice {}` takes it out of the lane",
        invoice.device, invoice.id
    ));
    halt
}

/// A person has to say whose the number is (protocol D11).
pub(crate) fn needs_resolving(invoice: &LaneInvoice, problem: &str) -> Halt {
    let device = invoice.device;
    let number = invoice.invoice_no;
    Halt {
        reason: format!(
            "{problem}: find out at KRA whose invoice {number} is, then `risiti-replay lanes resolve {device} \
             --invoice-no {number}` with --accepted, --not-accepted or --taken-elsewhere"
        ),
        remedy: HaltRemedy::LanesResolve,
    }
}
