//! Reading the answer to `selectInvoiceDetails`.

use risiti_domain::{BuyerName, InvoiceKind, KraPin};

use crate::answer::Answer;
use crate::classify::{self, Class};
use crate::envelope::Envelope;
use crate::fields::Fields;
use crate::http::HttpAnswer;
use crate::outcome::{FoundSale, LookUpOutcome};
use crate::profile::DeviceProfile;
use crate::receipt::Receipt;
use crate::text;

/// The length of `remark` in KRA's specification.
const REMARK_CHARS_MAX: usize = 400;
/// The length of `trdInvcNo` there.
const TRADER_NUMBER_CHARS_MAX: usize = 50;

/// The class of an answer that says nothing about the host.
const NEUTRAL: Class = Class::Unknown {
    against_host: false,
};

/// Reads any bytes into an outcome. `Found` and `Absent` need an explicit answer of KRA. Everything
/// else proves nothing.
pub(crate) fn read(profile: &DeviceProfile, http: &HttpAnswer, invoice_no: i64) -> LookUpOutcome {
    let envelope = Envelope::read(http.status, &http.body);
    if let Some(envelope) = envelope.as_ref().filter(|_| http.status < 500) {
        if envelope.found_nothing() {
            // The gateway answers so under HTTP 400.
            return LookUpOutcome::Absent(Answer::judged(
                &profile.secrets(),
                http,
                Some(envelope),
                NEUTRAL,
            ));
        }
        if envelope.succeeded() {
            return read_sales(profile, http, envelope, invoice_no);
        }
    }

    let class = classify::of_answer(profile, http, envelope.as_ref(), invoice_no);
    let answer = Answer::judged(&profile.secrets(), http, envelope.as_ref(), class);
    match class {
        Class::Halt(reason) | Class::HostHalt(reason) => LookUpOutcome::Halt { reason, answer },
        _ => LookUpOutcome::NoAnswer(answer),
    }
}

fn read_sales(
    profile: &DeviceProfile,
    http: &HttpAnswer,
    envelope: &Envelope<'_>,
    invoice_no: i64,
) -> LookUpOutcome {
    let answer = Answer::judged(&profile.secrets(), http, Some(envelope), NEUTRAL);
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
        // Live answers lack fields here and there. The remark says whose the sale is anyway.
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
        original_invoice_no: sale.integer("orgInvcNo").filter(|number| *number > 0),
        total: sale.decimal("totAmt"),
        trader_number: trader_number(sale),
        receipt: Receipt {
            buyer_name: sale.text("custNm").and_then(|name| BuyerName::parse(&name)),
            buyer_pin: sale.text("custTin").and_then(|pin| KraPin::parse(&pin)),
            ..Receipt::read(profile, &sale.fields("receipt")?)?
        },
    })
}

/// The seller's own number of a sale. Look-ups were seen to leave `trdInvcNo` out, and tills write
/// their number into `remark`. A text that may name the buyer is left out.
fn trader_number(sale: &Fields<'_>) -> Option<String> {
    ["trdInvcNo", "remark"]
        .iter()
        .filter_map(|key| sale.text(key))
        .map(|text| text::clip(&text, TRADER_NUMBER_CHARS_MAX))
        .find(|text| text::is_document_number(text))
}
