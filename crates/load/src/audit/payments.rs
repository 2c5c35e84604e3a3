//! Checks what was recorded: one event for each message, one payment for each sum of money.

use std::collections::HashSet;

use rust_decimal::Decimal;

use super::breach::{Breaches, Law};
use super::due_payment::{DuePayment, due_payments};
use super::payment_index::PaymentIndex;
use super::storm_record::{Arrival, SentPayment, StormRecord};
use super::views::{Event, Payment, Views};
use crate::traffic::message::Report;
use crate::traffic::payment::ExpectedPayment;

/// A due payment and its row in the ledger.
pub(crate) struct MatchedPayment<'a> {
    pub(crate) expected: &'a ExpectedPayment,
    pub(crate) due: DuePayment,
    pub(crate) row: &'a Payment,
}

pub(crate) fn check<'a>(
    storm: &'a StormRecord,
    views: &'a Views,
    breaches: &mut Breaches,
) -> Vec<MatchedPayment<'a>> {
    let index = PaymentIndex::new(&views.payments);
    let mut matched = Vec::new();
    let mut known_events = HashSet::new();
    let mut known_payments = HashSet::new();

    for sent in &storm.payments {
        let arrived = check_events(sent, views, &mut known_events, breaches);
        let expected = &sent.expected;
        let rows = index.rows(expected);
        known_payments.extend(rows.iter().map(|row| &row.payment_id));
        for (due, row) in check_payments(expected, &arrived, &rows, breaches) {
            matched.push(MatchedPayment { expected, due, row });
        }
    }

    for event in views.events.values().flatten() {
        if !known_events.contains(&event.event_id) {
            let what = format!("is a {} event that was not sent", event.kind);
            breaches.wrong(Law::NothingInvented, &event.event_id, what);
        }
    }
    for payment in &views.payments {
        if !known_payments.contains(&payment.payment_id) {
            let what = "is a payment that no webhook reported";
            breaches.doubled(Law::NothingInvented, &payment.payment_id, what);
        }
    }
    matched
}

/// Returns for each message whether it arrived, that is, whether it left an event.
fn check_events<'a>(
    sent: &SentPayment,
    views: &'a Views,
    known: &mut HashSet<&'a String>,
    breaches: &mut Breaches,
) -> Vec<bool> {
    let expected = &sent.expected;
    for status in &sent.wrong_answers {
        let what = format!("an authentic webhook was answered {status}");
        breaches.wrong(Law::Kept, &expected.money_key, what);
    }

    let mut arrived = Vec::new();
    for (meaning, arrival) in expected.messages.iter().zip(&sent.arrivals) {
        let delivery_key = &meaning.delivery_key;
        let key = (
            expected.merchant.clone(),
            expected.provider,
            delivery_key.clone(),
        );
        let events: &[Event] = views.events.get(&key).map_or(&[], Vec::as_slice);
        known.extend(events.iter().map(|event| &event.event_id));

        if events.is_empty() && *arrival == Arrival::Confirmed {
            let what = "was answered 200, and has no event";
            breaches.lost(Law::Kept, delivery_key, what);
        }
        if events.len() > 1 {
            breaches.doubled(Law::Kept, delivery_key, "has several events");
        }
        for event in events {
            if event.kind != meaning.kind {
                let what = format!("is a {}, not a {}", meaning.kind, event.kind);
                breaches.wrong(Law::Kept, &event.event_id, what);
            }
            // An unknown short code is flagged. Nothing else in a storm contradicts itself.
            if event.conflict && meaning.reports != Report::Unclear {
                breaches.wrong(Law::OnePayment, &event.event_id, "is flagged as a conflict");
            }
        }
        arrived.push(!events.is_empty());
    }
    arrived
}

/// Returns the due payments that exist, each with its row.
fn check_payments<'a>(
    expected: &ExpectedPayment,
    arrived: &[bool],
    rows: &[&'a Payment],
    breaches: &mut Breaches,
) -> Vec<(DuePayment, &'a Payment)> {
    let due_payments = due_payments(expected, arrived);
    if rows.len() > due_payments.len() {
        let what = format!("is {} payments, not {}", rows.len(), due_payments.len());
        breaches.doubled(Law::OnePayment, &expected.money_key, what);
    }

    let mut matched = Vec::new();
    for due in due_payments {
        let row = rows.iter().find(|row| {
            row.money_key.is_some() == due.has_money_key
                && row.checkout_id.is_some() == due.has_checkout
        });
        match row {
            Some(row) => {
                check_facts(expected, &due, row, breaches);
                matched.push((due, *row));
            }
            None => {
                let what = format!("has no payment that is {}", due.state);
                breaches.lost(Law::OnePayment, &expected.money_key, what);
            }
        }
    }
    matched
}

fn check_facts(
    expected: &ExpectedPayment,
    due: &DuePayment,
    row: &Payment,
    breaches: &mut Breaches,
) {
    let mut wrong = |what: String| breaches.wrong(Law::OnePayment, &row.payment_id, what);
    if row.state != due.state {
        wrong(format!("is {}, not {}", row.state, due.state));
    }
    if !due.holds_money() {
        return;
    }

    if row.amount != Some(expected.amount) || row.currency.as_ref() != Some(&expected.currency) {
        let amount = row
            .amount
            .map_or("nothing".to_owned(), |amount: Decimal| amount.to_string());
        let currency = row.currency.as_deref().unwrap_or_default();
        wrong(format!(
            "is about {currency} {amount}, not {} {}",
            expected.currency, expected.amount
        ));
    }
    if row.receipt.as_ref() != Some(&expected.receipt) {
        wrong("has another receipt".to_owned());
    }
    if !expected.phones.contains(&row.phone) {
        wrong("has a phone number that no message had".to_owned());
    }
}

#[cfg(test)]
#[path = "payments_tests.rs"]
mod tests;
