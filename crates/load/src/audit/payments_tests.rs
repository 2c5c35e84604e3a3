use super::*;
use crate::message::Meaning;

fn story(tells: &[(&str, Tells)]) -> Expected {
    Expected {
        story: 1,
        merchant: "duka".to_owned(),
        provider: Provider::Daraja,
        money_key: "UIS1".to_owned(),
        checkout_id: Some("ws_1".to_owned()),
        receipt: "UIS1".to_owned(),
        amount: Decimal::TEN,
        currency: "KES".to_owned(),
        phones: vec![None],
        owes: true,
        messages: tells
            .iter()
            .enumerate()
            .map(|(at, (kind, tells))| Meaning {
                kind: (*kind).to_owned(),
                delivery_key: format!("key-{at}"),
                tells: tells.clone(),
            })
            .collect(),
    }
}

fn states(tells: &[(&str, Tells)], told: &[bool]) -> Vec<(&'static str, bool, bool)> {
    dues(&story(tells), told)
        .iter()
        .map(|due| (due.state, due.has_money, due.has_checkout))
        .collect()
}

#[test]
fn what_arrived_decides_what_is_due() {
    let late = [
        ("stk", Tells::Failed),
        ("stk", Tells::Paid),
        ("c2b_confirmation", Tells::Confirmed),
    ];
    assert_eq!(
        states(&late, &[true, true, true]),
        [("success", true, true)]
    );
    assert_eq!(
        states(&late, &[true, false, true]),
        [("success", true, false), ("failed", false, true)]
    );
    assert_eq!(
        states(&late, &[true, false, false]),
        [("failed", false, true)]
    );
    assert_eq!(states(&late, &[false, false, false]), []);
    let five = Tells::Returned(Decimal::from(5));
    let back = [
        ("stk", Tells::Paid),
        ("reversal_result", five.clone()),
        ("reversal_result", five),
    ];
    assert_eq!(
        states(&back, &[true, true, false]),
        [("success", true, true)]
    );
    assert_eq!(
        states(&back, &[true, true, true]),
        [("reversed", true, true)]
    );
    assert_eq!(states(&back, &[false, true, true]), []);
    assert_eq!(
        states(&[("stk", Tells::Unclear)], &[true]),
        [("pending", false, true)]
    );
    assert_eq!(
        states(&[("c2b_confirmation", Tells::Unclear)], &[true]),
        [("pending", true, false)]
    );
}

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

/// The breaches that an audit of one paid check-out finds, with these rows in the ledger.
fn audit(arrival: Arrival, event: bool, payments: Vec<Payment>) -> Vec<(Law, String)> {
    let expected = story(&[("stk", Tells::Paid)]);
    let told = Told {
        expected,
        arrivals: vec![arrival],
        wrong_answers: Vec::new(),
    };
    let book = Book {
        stories: vec![told],
        ..Book::default()
    };
    let event = event.then(|| Event {
        event_id: "e".to_owned(),
        kind: "stk".to_owned(),
        duplicates: 0,
        conflict: false,
    });
    let key = ("duka".to_owned(), Provider::Daraja, "key-0".to_owned());
    let views = Views {
        events: event
            .into_iter()
            .map(|event| (key.clone(), vec![event]))
            .collect(),
        payments,
        invoices: HashMap::new(),
        moves: Default::default(),
        histories: Vec::new(),
    };
    let mut breaches = Breaches::default();
    check(&book, &views, &mut breaches);
    breaches
        .0
        .into_iter()
        .map(|breach| (breach.law, breach.id))
        .collect()
}

#[test]
fn a_balanced_book_has_no_breach() {
    assert_eq!(
        audit(Arrival::Certain, true, vec![row("p", Some("ws_1"))]),
        []
    );
    assert_eq!(
        audit(Arrival::Perhaps, true, vec![row("p", Some("ws_1"))]),
        []
    );
    assert_eq!(audit(Arrival::Perhaps, false, vec![]), []);
}

#[test]
fn each_wrong_is_named() {
    let kept = (Law::Kept, "key-0".to_owned());
    assert_eq!(audit(Arrival::Certain, false, vec![]), [kept]);
    let one = |id: &str| (Law::OnePayment, id.to_owned());
    assert_eq!(audit(Arrival::Certain, true, vec![]), [one("UIS1")]);
    let twice = vec![row("p", Some("ws_1")), row("q", None)];
    assert_eq!(audit(Arrival::Certain, true, twice), [one("UIS1")]);
    let cent = Payment {
        amount: Some(Decimal::new(1001, 2)),
        ..row("p", Some("ws_1"))
    };
    assert_eq!(audit(Arrival::Certain, true, vec![cent]), [one("p")]);
    let invented = Payment {
        money_key: Some("OTHER".to_owned()),
        ..row("q", None)
    };
    let found = audit(
        Arrival::Certain,
        true,
        vec![row("p", Some("ws_1")), invented],
    );
    assert_eq!(found, [(Law::NothingInvented, "q".to_owned())]);
}
