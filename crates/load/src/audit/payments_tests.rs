use std::collections::HashMap;

use super::*;
use crate::audit::due_payment::tests::expected_payment;
use crate::traffic::message::Provider;

fn row(payment_id: &str, checkout_id: Option<&str>) -> Payment {
    Payment {
        payment_id: payment_id.to_owned(),
        merchant: "duka".to_owned(),
        provider: Provider::Daraja,
        money_key: Some("UIS1".to_owned()),
        checkout_id: checkout_id.map(str::to_owned),
        receipt: Some("UIS1".to_owned()),
        amount: Some(Decimal::TEN),
        currency: Some("KES".to_owned()),
        phone: None,
        state: "success".to_owned(),
    }
}

/// The breaches that the audit of one paid check-out finds, with these rows in the ledger.
fn audit(arrival: Arrival, has_event: bool, payments: Vec<Payment>) -> Vec<(Law, String)> {
    let sent = SentPayment {
        expected: expected_payment(&[("stk", Report::Paid)]),
        arrivals: vec![arrival],
        wrong_answers: Vec::new(),
    };
    let storm = StormRecord {
        payments: vec![sent],
        ..StormRecord::default()
    };

    let mut events = HashMap::new();
    if has_event {
        let event = Event {
            event_id: "e".to_owned(),
            kind: "stk".to_owned(),
            duplicates: 0,
            conflict: false,
        };
        let key = ("duka".to_owned(), Provider::Daraja, "key-0".to_owned());
        events.insert(key, vec![event]);
    }
    let views = Views {
        events,
        payments,
        invoices: HashMap::new(),
        invoice_counts: Default::default(),
        histories: Vec::new(),
    };

    let mut breaches = Breaches::default();
    check(&storm, &views, &mut breaches);
    breaches
        .0
        .into_iter()
        .map(|breach| (breach.law, breach.id))
        .collect()
}

#[test]
fn balanced_ledger_has_no_breach() {
    assert_eq!(
        audit(Arrival::Confirmed, true, vec![row("p", Some("ws_1"))]),
        []
    );
    assert_eq!(
        audit(Arrival::Unconfirmed, true, vec![row("p", Some("ws_1"))]),
        []
    );
    assert_eq!(audit(Arrival::Unconfirmed, false, vec![]), []);
}

#[test]
fn each_breach_names_its_law_and_id() {
    let kept = (Law::Kept, "key-0".to_owned());
    assert_eq!(audit(Arrival::Confirmed, false, vec![]), [kept]);

    let one_payment = |id: &str| (Law::OnePayment, id.to_owned());
    assert_eq!(
        audit(Arrival::Confirmed, true, vec![]),
        [one_payment("UIS1")]
    );
    let twice = vec![row("p", Some("ws_1")), row("q", None)];
    assert_eq!(
        audit(Arrival::Confirmed, true, twice),
        [one_payment("UIS1")]
    );
    let wrong_by_a_cent = Payment {
        amount: Some(Decimal::new(1001, 2)),
        ..row("p", Some("ws_1"))
    };
    assert_eq!(
        audit(Arrival::Confirmed, true, vec![wrong_by_a_cent]),
        [one_payment("p")]
    );

    let invented = Payment {
        money_key: Some("OTHER".to_owned()),
        ..row("q", None)
    };
    let payments = vec![row("p", Some("ws_1")), invented];
    assert_eq!(
        audit(Arrival::Confirmed, true, payments),
        [(Law::NothingInvented, "q".to_owned())]
    );
}
