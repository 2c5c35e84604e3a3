//! What payments become of the events that providers send, in the orders in which they send them.

use risiti_domain::{Currency, Money, PaymentState, Provider};
use risiti_ledger::{Delivery, IncomingEvent};
use risiti_providers::EventBody;

use crate::fixture::{Fixture, Merchant, again};

#[tokio::test]
async fn paid_stk_callback_makes_payment_invoice_and_wake_up() {
    let fixture = Fixture::new().await;
    let (merchant, device) = fixture.ordinary_merchant().await;
    let event = merchant.stk("ws_CO_1", 0, Some("UIS4000001"), "1500.10");
    let recorded = fixture.record(std::slice::from_ref(&event)).await.remove(0);
    assert_eq!(recorded.delivery, Delivery::New);
    assert_eq!(recorded.wake, [device]);
    let states: Vec<PaymentState> = recorded.moves.iter().map(|(_, state)| *state).collect();
    assert_eq!(states, [PaymentState::Pending, PaymentState::Success]);
    assert_eq!(
        fixture.payments(&merchant).await,
        ["success UIS4000001 ws_CO_1 1500.10 KES"]
    );
    assert_eq!(fixture.invoices(&merchant).await, ["sale pending 1500.10"]);
    let history = "SELECT concat_ws(' ', subject, from_state, to_state, actor) FROM transitions
                   WHERE $1::uuid IS NOT NULL ORDER BY id";
    assert_eq!(
        fixture.lines(history, &merchant).await,
        [
            "payment pending ledger-worker",
            "payment pending success ledger-worker",
            "invoice pending ledger-worker"
        ]
    );
}

#[tokio::test]
async fn duplicate_is_counted_and_redelivery_changes_nothing() {
    let fixture = Fixture::new().await;
    let (merchant, device) = fixture.ordinary_merchant().await;
    let event = merchant.stk("ws_CO_1", 0, Some("UIS4000001"), "10");
    let other = again(&event);
    let batch = [event.clone(), other, event.clone()];
    let recorded = fixture.ledger.record_batch(&batch).await.unwrap();
    let deliveries: Vec<Delivery> = recorded.iter().map(|recorded| recorded.delivery).collect();
    assert_eq!(
        deliveries,
        [Delivery::New, Delivery::Duplicate, Delivery::Redelivered]
    );
    // The wake-up may have been lost with the acknowledgement.
    let recorded = fixture.record(&[event.clone(), again(&event)]).await;
    assert_eq!(
        (recorded[0].delivery, &recorded[0].wake[..]),
        (Delivery::Redelivered, &[device][..])
    );
    assert_eq!(recorded[1].delivery, Delivery::Duplicate);
    assert_eq!(
        fixture
            .number(
                "SELECT sum(duplicates)::bigint FROM events WHERE merchant_id = $1",
                &merchant
            )
            .await,
        2
    );
    assert_eq!(
        fixture
            .number(
                "SELECT count(*) FROM payments WHERE merchant_id = $1",
                &merchant
            )
            .await,
        1
    );
    assert_eq!(fixture.invoices(&merchant).await, ["sale pending 10.00"]);
}

#[tokio::test]
async fn stk_and_c2b_are_one_payment_in_either_order() {
    let fixture = Fixture::new().await;
    for c2b_first in [false, true] {
        let (merchant, _) = fixture.ordinary_merchant().await;
        let code = fixture.code_of(&merchant).await;
        let mut events = vec![
            merchant.stk("ws_CO_1", 0, Some("UIS1"), "5"),
            merchant.c2b("UIS1", "5.00", &code),
        ];
        if c2b_first {
            events.reverse();
        }
        fixture.record(&events).await;
        assert_eq!(
            fixture.payments(&merchant).await,
            ["success UIS1 ws_CO_1 5.00 KES"],
            "{c2b_first}"
        );
        assert_eq!(fixture.invoices(&merchant).await, ["sale pending 5.00"]);
        let facts = "SELECT concat_ws(' ', phone, phone_is_full, short_code) FROM payments WHERE merchant_id = $1";
        assert_eq!(
            fixture.lines(facts, &merchant).await,
            [format!("254712345678 t {code}")]
        );
    }
}

#[tokio::test]
async fn late_success_beats_time_out_and_late_failure_loses() {
    let fixture = Fixture::new().await;
    let (merchant, _) = fixture.ordinary_merchant().await;
    fixture
        .record(&[merchant.stk("ws_CO_1", 1037, None, "")])
        .await;
    assert_eq!(
        fixture.payments(&merchant).await,
        ["failed - ws_CO_1 - (result 1037)"]
    );
    fixture
        .record(&[
            merchant.stk("ws_CO_1", 0, Some("UIS1"), "5"),
            merchant.stk("ws_CO_1", 1032, None, ""),
        ])
        .await;
    assert_eq!(
        fixture.payments(&merchant).await,
        ["success UIS1 ws_CO_1 5.00 KES"]
    );
    assert_eq!(fixture.invoices(&merchant).await, ["sale pending 5.00"]);
}

#[tokio::test]
async fn time_out_then_c2b_then_the_late_stk_success_fold_into_one() {
    let fixture = Fixture::new().await;
    for in_one_batch in [false, true] {
        let (merchant, _) = fixture.ordinary_merchant().await;
        let code = fixture.code_of(&merchant).await;
        let events = [
            merchant.stk("ws_CO_1", 1037, None, ""),
            merchant.c2b("UIS1", "5.00", &code),
            merchant.stk("ws_CO_1", 0, Some("UIS1"), "5"),
        ];
        if in_one_batch {
            fixture.ledger.record_batch(&events).await.unwrap();
        } else {
            fixture.record(&events).await;
        }
        assert_eq!(
            fixture.payments(&merchant).await,
            ["success UIS1 ws_CO_1 5.00 KES"],
            "{in_one_batch}"
        );
        assert_eq!(fixture.invoices(&merchant).await, ["sale pending 5.00"]);
        let strays = "SELECT count(*) FROM events e JOIN payments p ON p.id = e.payment_id
                      WHERE p.state = 'folded' AND e.merchant_id = $1";
        assert_eq!(fixture.number(strays, &merchant).await, 0);
        let folded = "SELECT count(*) FROM payments WHERE state = 'folded' AND merchant_id = $1";
        assert_eq!(fixture.number(folded, &merchant).await, 1);
        let reported = "SELECT count(*) FROM report_payments r JOIN merchants m ON m.slug = r.merchant WHERE m.id = $1";
        assert_eq!(fixture.number(reported, &merchant).await, 1);
    }
}

#[tokio::test]
async fn twins_that_differ_in_amount_are_flagged_and_move_nothing() {
    let fixture = Fixture::new().await;
    let (merchant, _) = fixture.ordinary_merchant().await;
    let code = fixture.code_of(&merchant).await;
    let recorded = fixture
        .record(&[
            merchant.stk("ws_CO_1", 0, Some("UIS1"), "5"),
            merchant.c2b("UIS1", "6", &code),
        ])
        .await;
    assert_eq!((recorded[0].flagged, recorded[1].flagged), (false, true));
    assert_eq!(
        fixture.payments(&merchant).await,
        ["success UIS1 ws_CO_1 5.00 KES flagged (another message names another amount)"]
    );
    assert_eq!(fixture.invoices(&merchant).await, ["sale pending 5.00"]);
    let flagged =
        "SELECT kind FROM events WHERE merchant_id = $1 AND conflict AND payment_id IS NOT NULL";
    assert_eq!(
        fixture.lines(flagged, &merchant).await,
        ["c2b_confirmation"]
    );
}

#[tokio::test]
async fn one_receipt_for_two_checkouts_is_flagged_and_folds_nothing() {
    let fixture = Fixture::new().await;
    let (merchant, _) = fixture.ordinary_merchant().await;
    let events = [
        merchant.stk("ws_CO_1", 0, Some("UIS1"), "5"),
        merchant.stk("ws_CO_2", 0, Some("UIS2"), "5"),
        merchant.stk("ws_CO_3", 0, Some("UIS1"), "5"),
    ];
    let recorded = fixture.record(&events).await;
    assert!(recorded[2].flagged);
    assert_eq!(
        fixture.payments(&merchant).await,
        [
            "success UIS1 ws_CO_1 5.00 KES flagged (another message names another checkout)",
            "success UIS2 ws_CO_2 5.00 KES",
        ]
    );
}

#[tokio::test]
async fn conflicting_facts_keep_both_bodies_and_move_nothing() {
    let fixture = Fixture::new().await;
    let (merchant, _) = fixture.ordinary_merchant().await;
    let other = merchant.stk("ws_CO_1", 0, Some("UIS1"), "6");
    let events = [
        merchant.stk("ws_CO_1", 0, Some("UIS1"), "5"),
        other.clone(),
        again(&other),
    ];
    let recorded = fixture.record(&events).await;
    assert_eq!(
        (recorded[1].delivery, recorded[1].flagged),
        (Delivery::Conflict, true)
    );
    assert_eq!(
        fixture.payments(&merchant).await,
        ["success UIS1 ws_CO_1 5.00 KES flagged (a message came again with other facts)"]
    );
    let kept = "SELECT count(*) FROM events e JOIN event_conflicts c ON c.event_id = e.id
                WHERE e.merchant_id = $1 AND e.conflict AND c.body = e.body";
    assert_eq!(fixture.number(kept, &merchant).await, 1);
}

#[tokio::test]
async fn unregistered_short_code_is_recorded_and_owes_nothing() {
    let fixture = Fixture::new().await;
    let (merchant, _) = fixture.ordinary_merchant().await;
    let recorded = fixture.record(&[merchant.c2b("UIS1", "5", "99999")]).await;
    assert!(recorded[0].flagged && recorded[0].wake.is_empty());
    assert_eq!(
        fixture.payments(&merchant).await,
        ["pending UIS1 - 5.00 KES flagged (the short code is not registered for this merchant)"]
    );
    assert!(fixture.invoices(&merchant).await.is_empty());
    // Its STK twin is proof enough that the money is the merchant's.
    fixture
        .record(&[merchant.stk("ws_CO_1", 0, Some("UIS1"), "5")])
        .await;
    assert_eq!(fixture.invoices(&merchant).await, ["sale pending 5.00"]);
}

#[tokio::test]
async fn what_owes_no_receipt_says_why() {
    let fixture = Fixture::new().await;
    let merchant = fixture.merchant().await;
    let (with_device, _) = fixture.ordinary_merchant().await;
    let mut dollars = with_device.stk("ws_CO_1", 0, Some("UIS1"), "5");
    in_dollars(&mut dollars);
    fixture
        .record(&[merchant.stk("ws_CO_1", 0, Some("UIS1"), "5"), dollars])
        .await;
    assert_eq!(
        fixture.payments(&merchant).await,
        ["success UIS1 ws_CO_1 5.00 KES (owes no receipt: the merchant had no tax device)"]
    );
    assert_eq!(
        fixture.payments(&with_device).await,
        ["success UIS1 ws_CO_1 5.00 USD (owes no receipt: not in KES)"]
    );
    assert!(fixture.invoices(&with_device).await.is_empty());
}

#[tokio::test]
async fn paid_without_a_receipt_stays_pending() {
    let fixture = Fixture::new().await;
    let (merchant, _) = fixture.ordinary_merchant().await;
    fixture
        .record(&[merchant.stk("ws_CO_1", 0, None, "5")])
        .await;
    assert_eq!(
        fixture.payments(&merchant).await,
        ["pending - ws_CO_1 - (paid, without a receipt)"]
    );
    assert!(fixture.invoices(&merchant).await.is_empty());
}

#[tokio::test]
async fn a_payment_known_by_reference_is_found_by_it() {
    let fixture = Fixture::new().await;
    let (merchant, _) = fixture.ordinary_merchant().await;
    fixture
        .record(&[
            paystack(&merchant, "charge.failed"),
            paystack(&merchant, "charge.success"),
        ])
        .await;
    assert_eq!(
        fixture.payments(&merchant).await,
        ["success ref_1 - 5.00 KES"]
    );
    assert_eq!(fixture.invoices(&merchant).await, ["sale pending 5.00"]);
}

fn in_dollars(event: &mut IncomingEvent) {
    let EventBody::Payment(report) = &mut event.event.body else {
        panic!("no payment")
    };
    let usd = Money::new(report.amount.unwrap().amount(), Currency::USD).unwrap();
    report.amount = Some(usd);
    event.event.facts.amount = Some(usd);
}

/// A failure names its charge by reference only.
fn paystack(merchant: &Merchant, kind: &str) -> IncomingEvent {
    let paid = kind == "charge.success";
    let mut event = merchant.stk("", u32::from(!paid), paid.then_some("ref_1"), "5");
    event.provider = Provider::Paystack;
    event.event.kind = kind.to_owned();
    event.event.delivery_key = format!("{kind}:ref_1");
    let EventBody::Payment(report) = &mut event.event.body else {
        panic!("no payment")
    };
    report.checkout_id = None;
    report.reference = Some("ref_1".to_owned());
    event
}
