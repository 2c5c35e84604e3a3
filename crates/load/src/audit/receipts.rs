//! Checks what was filed: one sale for each payment that owes a receipt, and one credit note each
//! time money went back.

use std::collections::HashSet;

use rust_decimal::Decimal;

use super::authority_records::AuthorityRecords;
use super::breach::{Breaches, Law};
use super::payments::MatchedPayment;
use super::views::{Invoice, Views};
use crate::simulator::Filed;

pub(crate) fn check(
    payments: &[MatchedPayment<'_>],
    views: &Views,
    authority: &AuthorityRecords<'_>,
    breaches: &mut Breaches,
) {
    let mut filed = HashSet::new();
    for payment in payments {
        let invoices = views
            .invoices
            .get(&payment.row.payment_id)
            .map_or(&[][..], Vec::as_slice);

        let (sales, notes): (Vec<&Invoice>, Vec<&Invoice>) =
            invoices.iter().partition(|invoice| invoice.is_sale);
        filed.extend(
            invoices
                .iter()
                .filter(|i| i.state == "success")
                .map(|i| i.invoice_id.as_str()),
        );

        let sale = check_sale(payment, &sales, authority, breaches);
        check_credit_notes(payment, sale, &notes, authority, breaches);
    }

    for (remark, sales) in &authority.by_remark {
        let numbers: Vec<String> = sales
            .iter()
            .map(|s| format!("{} on {}", s.number, s.device()))
            .collect();
        if !filed.contains(remark) {
            let what = format!("was filed as {numbers:?}, and is none of our invoices");
            breaches.wrong(Law::NothingInvented, *remark, what);
        }
        if sales.len() > 1 {
            let what = format!("was accepted as {numbers:?}");
            breaches.doubled(Law::OneReceipt, *remark, what);
        }
    }
}

/// Returns the sale as the tax authority has it, if it was filed.
fn check_sale<'a>(
    payment: &MatchedPayment<'_>,
    sales: &[&Invoice],
    authority: &AuthorityRecords<'a>,
    breaches: &mut Breaches,
) -> Option<&'a Filed> {
    let sale = check_number_of_sales(payment, sales, breaches)?;
    let id = &sale.invoice_id;
    let expected = payment.expected;

    let merchant = authority.merchants_of_devices.get(sale.device_id.as_str());
    if merchant != Some(&expected.merchant.as_str()) {
        breaches.wrong(Law::OneReceipt, id, "is filed on another merchant's device");
    }

    let filed = check_invoice(sale, Law::OneReceipt, authority, breaches)?;
    if filed.total != expected.amount || !filed.is_sale() {
        let what = format!("was filed as a sale of {}", filed.total);
        breaches.wrong(Law::OneReceipt, id, what);
    }
    if filed.trader_number.as_ref() != Some(&expected.receipt) {
        let what = "was filed under another trader number";
        breaches.wrong(Law::OneReceipt, id, what);
    }
    Some(filed)
}

/// Returns the one sale of a payment that owes a receipt.
fn check_number_of_sales<'a>(
    payment: &MatchedPayment<'_>,
    sales: &[&'a Invoice],
    breaches: &mut Breaches,
) -> Option<&'a Invoice> {
    let id = &payment.row.payment_id;
    let owes = payment.expected.owes && payment.due.holds_money();
    match (sales, owes) {
        ([sale], true) => return Some(sale),
        ([], false) => {}
        ([], true) => {
            let what = "owes a receipt and has no invoice";
            breaches.lost(Law::OneReceipt, id, what);
        }
        (_, false) => {
            let what = "owes no receipt and has an invoice";
            breaches.doubled(Law::OneReceipt, id, what);
        }
        (more, true) => {
            let what = format!("has {} sales", more.len());
            breaches.doubled(Law::OneReceipt, id, what);
        }
    }
    None
}

/// Returns what the tax authority has of an invoice, or none where it was given up for a reason.
fn check_invoice<'a>(
    invoice: &Invoice,
    law: Law,
    authority: &AuthorityRecords<'a>,
    breaches: &mut Breaches,
) -> Option<&'a Filed> {
    let id = &invoice.invoice_id;
    match (invoice.state.as_str(), authority.accepted(invoice)) {
        ("success", [filed, ..]) => {
            check_receipt(invoice, filed, authority, breaches);
            Some(*filed)
        }
        ("success", []) => {
            let what = "has a receipt that the tax authority does not know";
            breaches.lost(law, id, what);
            None
        }
        ("dead" | "discarded", []) => {
            if invoice.reason.is_none() {
                breaches.lost(law, id, format!("is {} without a reason", invoice.state));
            }
            None
        }
        ("dead" | "discarded", [_, ..]) => {
            let what = format!("is {}, and the tax authority has it", invoice.state);
            breaches.wrong(law, id, what);
            None
        }
        (state, _) => {
            breaches.lost(law, id, format!("is still {state}"));
            None
        }
    }
}

fn check_receipt(
    invoice: &Invoice,
    filed: &Filed,
    authority: &AuthorityRecords<'_>,
    breaches: &mut Breaches,
) {
    let device = authority.devices.get(&filed.device()).copied();
    let same = invoice.invoice_no == Some(filed.number)
        && invoice.receipt_no.as_ref() == Some(&filed.receipt_no)
        && invoice.receipt_signature.as_ref() == Some(&filed.signature)
        && invoice.internal_data.as_ref() == Some(&filed.internal_data)
        && device == Some(invoice.device_id.as_str());
    if !same {
        let what = format!(
            "has other numbers than the tax authority ({} on {})",
            filed.number,
            filed.device()
        );
        breaches.wrong(Law::Sequence, &invoice.invoice_id, what);
    }
}

fn check_credit_notes(
    payment: &MatchedPayment<'_>,
    sale: Option<&Filed>,
    notes: &[&Invoice],
    authority: &AuthorityRecords<'_>,
    breaches: &mut Breaches,
) {
    let payment_id = &payment.row.payment_id;
    let Some(sale) = sale else {
        // Credit notes wait for their sale, or are given up with it.
        for note in notes
            .iter()
            .filter(|note| !authority.accepted(note).is_empty())
        {
            let what = "credits a sale that was never filed";
            breaches.wrong(Law::Credited, &note.invoice_id, what);
        }
        return;
    };

    let due = &payment.due.returned;
    if notes.len() != due.len() {
        let what = format!(
            "has {} credit notes for {} times that money went back",
            notes.len(),
            due.len()
        );
        if notes.len() > due.len() {
            breaches.doubled(Law::Credited, payment_id, what);
        } else {
            breaches.lost(Law::Credited, payment_id, what);
        }
    }

    let mut credited: Vec<Decimal> = Vec::new();
    let mut all_filed = true;
    for note in notes {
        let Some(filed) = check_invoice(note, Law::Credited, authority, breaches) else {
            all_filed = false;
            continue;
        };
        if filed.is_sale()
            || filed.original_number != Some(sale.number)
            || filed.device() != sale.device()
        {
            breaches.wrong(Law::Credited, &note.invoice_id, "credits another sale");
        }
        credited.push(filed.total);
    }

    let mut due = due.clone();
    due.sort();
    credited.sort();
    if all_filed && notes.len() == due.len() && credited != due {
        let what = format!("was credited {credited:?}, not {due:?}");
        breaches.wrong(Law::Credited, payment_id, what);
    }
}

#[cfg(test)]
#[path = "receipts_tests.rs"]
mod tests;
