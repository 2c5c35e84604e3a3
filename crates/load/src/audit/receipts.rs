//! Laws about what was filed: one sale for each payment that owes one, credited as far as money went back.

use std::collections::{HashMap, HashSet};

use rust_decimal::Decimal;

use super::breach::{Breaches, Law};
use super::payments::Found;
use super::views::{Invoice, Views};
use crate::fleet::Fleet;
use crate::sim::Filed;

/// What the tax authority has, by the invoice id in the remark.
pub(crate) struct Authority<'a> {
    by_remark: HashMap<&'a str, Vec<&'a Filed>>,
    /// Our device's id by the simulator's name of it.
    devices: HashMap<String, &'a str>,
    merchants_of_devices: HashMap<&'a str, &'a str>,
}

impl<'a> Authority<'a> {
    pub(crate) fn new(fleet: &'a Fleet, filed: &'a [Filed]) -> Self {
        let mut by_remark: HashMap<_, Vec<&Filed>> = HashMap::new();
        for filed in filed {
            by_remark
                .entry(filed.remark.as_deref().unwrap_or_default())
                .or_default()
                .push(filed);
        }
        let devices = || {
            fleet
                .merchants
                .iter()
                .flat_map(|merchant| merchant.devices.iter().map(move |d| (merchant, d)))
        };
        Self {
            by_remark,
            devices: devices()
                .map(|(_, d)| (d.branch_of_taxpayer(), d.device_id.as_str()))
                .collect(),
            merchants_of_devices: devices()
                .map(|(m, d)| (d.device_id.as_str(), m.slug.as_str()))
                .collect(),
        }
    }

    fn of(&self, invoice: &Invoice) -> &[&'a Filed] {
        self.by_remark
            .get(invoice.invoice_id.as_str())
            .map_or(&[], Vec::as_slice)
    }
}

pub(crate) fn check(
    found: &[Found<'_>],
    views: &Views,
    authority: &Authority<'_>,
    breaches: &mut Breaches,
) {
    let mut filed = HashSet::new();
    for found in found {
        let invoices = views
            .invoices
            .get(&found.payment.payment_id)
            .map_or(&[][..], Vec::as_slice);
        let (sales, notes): (Vec<&Invoice>, Vec<&Invoice>) =
            invoices.iter().partition(|invoice| invoice.is_sale);
        filed.extend(
            invoices
                .iter()
                .filter(|i| i.state == "success")
                .map(|i| i.invoice_id.as_str()),
        );
        let sale = check_sale(found, &sales, authority, breaches);
        check_notes(found, sale, &notes, authority, breaches);
    }
    for (remark, sales) in &authority.by_remark {
        let numbers: Vec<String> = sales
            .iter()
            .map(|s| format!("{} on {}", s.number, s.device()))
            .collect();
        if !filed.contains(remark) {
            breaches.wrong(
                Law::NothingInvented,
                *remark,
                format!("filed as {numbers:?}, and we do not know it"),
            );
        }
        if sales.len() > 1 {
            breaches.doubled(
                Law::OneReceipt,
                *remark,
                format!("was accepted as {numbers:?}"),
            );
        }
    }
}

/// The sale as the tax authority has it, when it was filed.
fn check_sale<'a>(
    found: &Found<'_>,
    sales: &[&Invoice],
    authority: &Authority<'a>,
    breaches: &mut Breaches,
) -> Option<&'a Filed> {
    let payment = &found.payment.payment_id;
    let owes = found.expected.owes && found.due.holds_money();
    let sale = match (sales, owes) {
        ([], false) => return None,
        ([sale], true) => *sale,
        ([], true) => {
            breaches.lost(
                Law::OneReceipt,
                payment,
                "owes a receipt and has no invoice",
            );
            return None;
        }
        (_, false) => {
            breaches.doubled(
                Law::OneReceipt,
                payment,
                "owes no receipt and has an invoice",
            );
            return None;
        }
        (more, true) => {
            breaches.doubled(
                Law::OneReceipt,
                payment,
                format!("has {} sales", more.len()),
            );
            return None;
        }
    };
    if authority.merchants_of_devices.get(sale.device_id.as_str())
        != Some(&found.expected.merchant.as_str())
    {
        breaches.wrong(
            Law::OneReceipt,
            &sale.invoice_id,
            "is filed on somebody else's device",
        );
    }
    let filed = settled(sale, Law::OneReceipt, authority, breaches)?;
    if filed.total != found.expected.amount || !filed.is_sale() {
        breaches.wrong(
            Law::OneReceipt,
            &sale.invoice_id,
            format!("was filed as a sale of {}", filed.total),
        );
    }
    if filed.trader_number.as_ref() != Some(&found.expected.receipt) {
        breaches.wrong(
            Law::OneReceipt,
            &sale.invoice_id,
            "was filed under another trader number",
        );
    }
    Some(filed)
}

/// What the tax authority has of an invoice; none where it was given up for a reason.
fn settled<'a>(
    invoice: &Invoice,
    law: Law,
    authority: &Authority<'a>,
    breaches: &mut Breaches,
) -> Option<&'a Filed> {
    let id = &invoice.invoice_id;
    match (invoice.state.as_str(), authority.of(invoice)) {
        ("success", [filed, ..]) => {
            check_receipt(invoice, filed, authority, breaches);
            Some(*filed)
        }
        ("success", []) => {
            breaches.lost(
                law,
                id,
                "has a receipt that the tax authority does not know",
            );
            None
        }
        ("dead" | "discarded", []) => {
            if invoice.reason.is_none() {
                breaches.lost(law, id, format!("is {} without a reason", invoice.state));
            }
            None
        }
        ("dead" | "discarded", [_, ..]) => {
            breaches.wrong(
                law,
                id,
                format!("is {}, and the tax authority has it", invoice.state),
            );
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
    authority: &Authority<'_>,
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

fn check_notes(
    found: &Found<'_>,
    sale: Option<&Filed>,
    notes: &[&Invoice],
    authority: &Authority<'_>,
    breaches: &mut Breaches,
) {
    let payment = &found.payment.payment_id;
    let Some(sale) = sale else {
        // They wait for their sale, or go with it.
        for note in notes.iter().filter(|note| !authority.of(note).is_empty()) {
            breaches.wrong(
                Law::Credited,
                &note.invoice_id,
                "credits a sale that was never filed",
            );
        }
        return;
    };
    let due = &found.due.returned;
    if notes.len() != due.len() {
        let what = format!(
            "has {} credit notes for {} times that money went back",
            notes.len(),
            due.len()
        );
        if notes.len() > due.len() {
            breaches.doubled(Law::Credited, payment, what);
        } else {
            breaches.lost(Law::Credited, payment, what);
        }
    }
    let mut credited: Vec<Decimal> = Vec::new();
    let mut all_filed = true;
    for note in notes {
        let Some(filed) = settled(note, Law::Credited, authority, breaches) else {
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
        breaches.wrong(
            Law::Credited,
            payment,
            format!("was credited {credited:?}, not {due:?}"),
        );
    }
}

#[cfg(test)]
#[path = "receipts_tests.rs"]
mod tests;
