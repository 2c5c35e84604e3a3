//! Purchases: the list of what suppliers sold, which KRA seeds late, and what the branch saves.

use jiff::civil::DateTime;

use super::{Caller, check_body_has_branch, last_request_time, list_reply};
use crate::fields::Fields;
use crate::records::supplier_invoices::seeded_invoices;
use crate::refusal::{Refusal, RefusalKind};
use crate::reply::Reply;
use crate::rules::purchase::Purchase;

pub(super) fn list(caller: &mut Caller<'_>, fields: &Fields<'_>) -> Result<Reply, Reply> {
    check_body_has_branch(caller, fields)?;
    let since = last_request_time(fields)?;
    let invoices = if caller.late_lists_since(since)? {
        seeded_invoices()
    } else {
        Vec::new()
    };
    let rows: Vec<String> = invoices
        .iter()
        .map(|invoice| invoice.row().to_string())
        .collect();
    Ok(list_reply("saleList", &rows))
}

/// Saves a purchase under the next number of the branch's own.
pub(super) fn save(caller: &mut Caller<'_>, fields: &Fields<'_>) -> Result<Reply, Reply> {
    let known = if caller.late_lists_since(DateTime::MIN)? {
        seeded_invoices()
    } else {
        Vec::new()
    };
    let rules = caller.rules();
    let purchase = Purchase::read(fields, rules, &known, caller.taxpayer())?;

    let device = caller.device()?;
    let last = device.purchases.values().next_back();
    let expected = last.map_or(1, |last| last.number + 1);
    if purchase.number != expected {
        let taken = device.purchases.get(&purchase.number);
        let resend =
            taken.is_some_and(|taken| taken.supplier_invoice_no == purchase.supplier_invoice_no);
        return Err(wrong_number(purchase.number, expected, resend).into());
    }
    device.purchases.put(purchase.number, purchase)?;
    Ok(Reply::done(&()))
}

/// The sources say that the expected number is named, and not in which words. So it is in those of
/// a sale.
fn wrong_number(found: i64, expected: i64, resend: bool) -> Refusal {
    let kind = if resend {
        RefusalKind::Resend
    } else {
        RefusalKind::Sequence
    };
    let text = format!("Invalid invcNo sequence, expected: {expected} but found: {found}");
    if found < expected {
        Refusal::new(kind, "994", "There is an overlapped Data", text)
    } else {
        let message = format!("Request parameter error[{text}]");
        Refusal::new(kind, "910", &message, text)
    }
}
