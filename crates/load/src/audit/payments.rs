//! Laws about what was told: one event for each message, one payment for each money.

use std::collections::{HashMap, HashSet};

use rust_decimal::Decimal;

use super::book::{Arrival, Book, Told};
use super::breach::{Breaches, Law};
use super::views::{Event, Payment, Views};
use crate::message::{Provider, Tells};
use crate::story::Expected;

/// A payment that must exist, given what arrived.
#[derive(Debug, PartialEq)]
pub(crate) struct Due {
    has_money: bool,
    has_checkout: bool,
    state: &'static str,
    /// Of each amount that went back.
    pub(crate) returned: Vec<Decimal>,
}

/// A due payment and the row that is it.
pub(crate) struct Found<'a> {
    pub(crate) expected: &'a Expected,
    pub(crate) due: Due,
    pub(crate) payment: &'a Payment,
}

impl Due {
    pub(crate) fn holds_money(&self) -> bool {
        matches!(self.state, "success" | "reversed")
    }
}

/// The payments of one story, in no order. `told` says of each message whether it arrived.
fn dues(expected: &Expected, told: &[bool]) -> Vec<Due> {
    let arrived = || {
        expected
            .messages
            .iter()
            .zip(told)
            .filter(|(_, told)| **told)
            .map(|(meaning, _)| meaning)
    };
    let any = |tells: Tells| arrived().any(|meaning| meaning.tells == tells);
    let unclear = |kind: &str| {
        arrived().any(|meaning| meaning.tells == Tells::Unclear && meaning.kind == kind)
    };
    let returned: Vec<Decimal> = arrived()
        .filter_map(|meaning| match meaning.tells {
            Tells::Returned(amount) => Some(amount),
            _ => None,
        })
        .collect();
    let with_money = |has_checkout: bool| Due {
        has_money: true,
        has_checkout,
        state: if returned.iter().sum::<Decimal>() >= expected.amount {
            "reversed"
        } else {
            "success"
        },
        returned: returned.clone(),
    };
    let without = |has_money: bool, state: &'static str| Due {
        has_money,
        has_checkout: !has_money,
        state,
        returned: Vec::new(),
    };
    if any(Tells::Paid) {
        return vec![with_money(expected.checkout_id.is_some())];
    }
    let mut dues = Vec::new();
    // Nothing that arrived says that these two are one.
    if any(Tells::Confirmed) {
        dues.push(with_money(false));
    } else if unclear("c2b_confirmation") {
        dues.push(without(true, "pending"));
    }
    if any(Tells::Failed) {
        dues.push(without(false, "failed"));
    } else if unclear("stk") {
        dues.push(without(false, "pending"));
    }
    dues
}

pub(crate) fn check<'a>(
    book: &'a Book,
    views: &'a Views,
    breaches: &mut Breaches,
) -> Vec<Found<'a>> {
    let ledger = Ledger::new(&views.payments);
    let mut found = Vec::new();
    let mut known_events = HashSet::new();
    let mut known_payments = HashSet::new();
    for story in &book.stories {
        let told = check_events(story, views, &mut known_events, breaches);
        for (due, payment) in check_payments(
            &story.expected,
            &told,
            &ledger,
            &mut known_payments,
            breaches,
        ) {
            found.push(Found {
                expected: &story.expected,
                due,
                payment,
            });
        }
    }
    for event in views
        .events
        .values()
        .flatten()
        .filter(|event| !known_events.contains(&event.event_id))
    {
        breaches.wrong(
            Law::NothingInvented,
            &event.event_id,
            format!("a {} event nobody sent", event.kind),
        );
    }
    for payment in views
        .payments
        .iter()
        .filter(|payment| !known_payments.contains(&payment.payment_id))
    {
        breaches.doubled(
            Law::NothingInvented,
            &payment.payment_id,
            "a payment nobody told of",
        );
    }
    found
}

/// Which messages arrived: what was answered 200, and what left an event all the same.
fn check_events<'a>(
    story: &Told,
    views: &'a Views,
    known: &mut HashSet<&'a String>,
    breaches: &mut Breaches,
) -> Vec<bool> {
    let expected = &story.expected;
    for status in &story.wrong_answers {
        breaches.wrong(
            Law::Kept,
            &expected.money_key,
            format!("an authentic webhook was answered {status}"),
        );
    }
    let mut told = Vec::new();
    for (meaning, arrival) in expected.messages.iter().zip(&story.arrivals) {
        let key = (
            expected.merchant.clone(),
            expected.provider,
            meaning.delivery_key.clone(),
        );
        let events: &[Event] = views.events.get(&key).map_or(&[], Vec::as_slice);
        known.extend(events.iter().map(|event| &event.event_id));
        match (events, arrival) {
            ([], Arrival::Certain) => {
                breaches.lost(
                    Law::Kept,
                    &meaning.delivery_key,
                    "answered 200, and there is no event",
                );
            }
            ([_, _, ..], _) => {
                breaches.doubled(Law::Kept, &meaning.delivery_key, "has several events")
            }
            _ => {}
        }
        for event in events {
            if event.kind != meaning.kind {
                breaches.wrong(
                    Law::Kept,
                    &event.event_id,
                    format!("is a {}, not a {}", meaning.kind, event.kind),
                );
            }
            // A short code that nobody registered is flagged; nothing else here contradicts itself.
            if event.conflict && meaning.tells != Tells::Unclear {
                breaches.wrong(Law::OnePayment, &event.event_id, "is flagged as a conflict");
            }
        }
        told.push(!events.is_empty());
    }
    told
}

fn check_payments<'a>(
    expected: &Expected,
    told: &[bool],
    ledger: &Ledger<'a>,
    known: &mut HashSet<&'a String>,
    breaches: &mut Breaches,
) -> Vec<(Due, &'a Payment)> {
    let rows = ledger.of(expected);
    known.extend(rows.iter().map(|row| &row.payment_id));
    let dues = dues(expected, told);
    if rows.len() > dues.len() {
        let what = format!("is {} payments, not {}", rows.len(), dues.len());
        breaches.doubled(Law::OnePayment, &expected.money_key, what);
    }
    let mut found = Vec::new();
    for due in dues {
        let row = rows.iter().find(|row| {
            row.money_key.is_some() == due.has_money
                && row.checkout_id.is_some() == due.has_checkout
        });
        match row {
            Some(row) => {
                check_facts(expected, &due, row, breaches);
                found.push((due, *row));
            }
            None => {
                let what = format!("has no payment that is {}", due.state);
                breaches.lost(Law::OnePayment, &expected.money_key, what);
            }
        }
    }
    found
}

fn check_facts(expected: &Expected, due: &Due, row: &Payment, breaches: &mut Breaches) {
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
            .map_or("nothing".to_owned(), |amount| amount.to_string());
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
        wrong("has a phone number that nobody told".to_owned());
    }
}

/// Payments by what identifies them outside.
struct Ledger<'a> {
    by_key: HashMap<(&'a str, Provider, &'a str), Vec<&'a Payment>>,
}

impl<'a> Ledger<'a> {
    fn new(payments: &'a [Payment]) -> Self {
        let mut by_key: HashMap<_, Vec<&Payment>> = HashMap::new();
        for payment in payments {
            for key in [&payment.money_key, &payment.checkout_id]
                .into_iter()
                .flatten()
            {
                let rows = by_key
                    .entry((payment.merchant.as_str(), payment.provider, key.as_str()))
                    .or_default();
                rows.push(payment);
            }
        }
        Self { by_key }
    }

    fn of(&self, expected: &Expected) -> Vec<&'a Payment> {
        let mut rows: Vec<&Payment> = Vec::new();
        for key in [Some(&expected.money_key), expected.checkout_id.as_ref()]
            .into_iter()
            .flatten()
        {
            let found =
                self.by_key
                    .get(&(expected.merchant.as_str(), expected.provider, key.as_str()));
            for row in found.into_iter().flatten() {
                if !rows.iter().any(|known| known.payment_id == row.payment_id) {
                    rows.push(row);
                }
            }
        }
        rows
    }
}

#[cfg(test)]
#[path = "payments_tests.rs"]
mod tests;
