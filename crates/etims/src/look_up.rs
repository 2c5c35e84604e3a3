//! Reading the answer to `selectInvoiceDetails`.

use risiti_domain::{InvoiceId, InvoiceKind};
use rust_decimal::Decimal;

use crate::answer::Answer;
use crate::classify::Class;
use crate::envelope::Envelope;
use crate::fields::Fields;
use crate::http::HttpAnswer;
use crate::outcome::LookUpOutcome;
use crate::profile::DeviceProfile;
use crate::receipt::Receipt;
use crate::{sale, text};

/// `remark` is 400 characters by KRA's specification.
const REMARK_CHARS_MAX: usize = 400;

/// A sale as KRA stored it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundSale {
    pub invoice_no: i64,
    pub remark: Option<String>,
    pub kind: Option<InvoiceKind>,
    pub original_invoice_no: Option<i64>,
    pub total: Option<Decimal>,
    pub receipt: Receipt,
}

impl FoundSale {
    /// The invoice of ours that the remark names, if it names one.
    pub fn invoice_id(&self) -> Option<InvoiceId> {
        self.remark.as_deref()?.trim().parse().ok()
    }
}

/// `Found` and `Absent` are what KRA said in so many words; everything else teaches nothing.
pub(crate) fn read(profile: &DeviceProfile, http: &HttpAnswer, invoice_no: i64) -> LookUpOutcome {
    let envelope = Envelope::read(http.status, &http.body);
    if let Some(envelope) = envelope.as_ref().filter(|_| http.status < 500) {
        if envelope.found_nothing() {
            // On the gateway this rides on HTTP 400.
            return LookUpOutcome::Absent(Answer::judged(
                &profile.secrets(),
                http,
                Some(envelope),
                UNREMARKABLE,
            ));
        }
        if envelope.succeeded() {
            return stored(profile, http, envelope, invoice_no);
        }
    }
    let class = sale::judge(profile, http, envelope.as_ref(), invoice_no);
    let answer = Answer::judged(&profile.secrets(), http, envelope.as_ref(), class);
    match class {
        Class::Halt(reason) => LookUpOutcome::Halt { reason, answer },
        _ => LookUpOutcome::NoAnswer(answer),
    }
}

const UNREMARKABLE: Class = Class::Unknown {
    against_host: false,
};

fn stored(
    profile: &DeviceProfile,
    http: &HttpAnswer,
    envelope: &Envelope<'_>,
    invoice_no: i64,
) -> LookUpOutcome {
    let answer = Answer::judged(&profile.secrets(), http, Some(envelope), UNREMARKABLE);
    let Some(sales) = envelope
        .data
        .as_ref()
        .and_then(|data| data.list("salesList"))
    else {
        return LookUpOutcome::NoAnswer(answer.with_message("found, but without a list of sales"));
    };
    if sales.is_empty() {
        return LookUpOutcome::Absent(answer);
    }
    let of_number: Vec<_> = sales
        .iter()
        .filter(|sale| sale.integer("invcNo") == Some(invoice_no))
        .collect();
    let found = match (&of_number[..], &sales[..]) {
        ([sale], _) => *sale,
        // Fields are missing from live answers here and there. Whose a sale is, its remark tells anyway.
        ([], [only]) if only.text("invcNo").is_none() => only,
        ([], _) => {
            return LookUpOutcome::NoAnswer(answer.with_message("found, but under another number"));
        }
        _ => return LookUpOutcome::NoAnswer(answer.with_message("found more than once")),
    };
    match found_sale(profile, found, invoice_no) {
        Some(found) => LookUpOutcome::Found(found),
        None => LookUpOutcome::NoAnswer(answer.with_message("found, but without a receipt number")),
    }
}

fn found_sale(profile: &DeviceProfile, sale: &Fields<'_>, invoice_no: i64) -> Option<FoundSale> {
    Some(FoundSale {
        invoice_no,
        remark: sale
            .text("remark")
            .map(|remark| text::clip(&remark, REMARK_CHARS_MAX)),
        kind: match sale.text("rcptTyCd").as_deref() {
            Some("S") => Some(InvoiceKind::Sale),
            Some("R") => Some(InvoiceKind::CreditNote),
            _ => None,
        },
        original_invoice_no: sale.integer("orgInvcNo").filter(|no| *no > 0),
        total: sale.decimal("totAmt"),
        receipt: Receipt::read(profile, &sale.fields("receipt")?)?,
    })
}
