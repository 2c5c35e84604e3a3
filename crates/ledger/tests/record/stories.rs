//! What providers tell, in the orders in which they tell it, and what the books say in the end.

use risiti_domain::{Currency, Money, PaymentState, Provider};
use risiti_ledger::{Delivery, IncomingEvent};
use risiti_providers::EventBody;

use crate::kit::{Kit, Merchant, again};

#[tokio::test]
async fn a_paid_stk_callback_becomes_a_payment_an_invoice_and_a_lane_to_wake() {
    let kit = Kit::new().await;
    let (merchant, device) = kit.ordinary_merchant().await;
    let event = merchant.stk("ws_CO_1", 0, Some("UIS4000001"), "1500.10");
    let recorded = kit.tell(std::slice::from_ref(&event)).await.remove(0);
    assert_eq!(recorded.delivery, Delivery::New);
    assert_eq!(recorded.wake, [device]);
    let states: Vec<PaymentState> = recorded.moves.iter().map(|(_, state)| *state).collect();
    assert_eq!(states, [PaymentState::Pending, PaymentState::Success]);
    assert_eq!(
        kit.payments(&merchant).await,
        ["success UIS4000001 ws_CO_1 1500.10 KES"]
    );
    assert_eq!(kit.invoices(&merchant).await, ["sale pending 1500.10"]);
    let history = "SELECT concat_ws(' ', subject, from_state, to_state, actor) FROM transitions
                   WHERE $1::uuid IS NOT NULL ORDER BY id";
    assert_eq!(
        kit.lines(history, &merchant).await,
        [
            "payment pending ledger-worker",
            "payment pending success ledger-worker",
            "invoice pending ledger-worker"
        ]
    );
}

#[tokio::test]
async fn told_again_changes_only_a_counter_and_taken_again_not_even_that() {
    let kit = Kit::new().await;
    let (merchant, device) = kit.ordinary_merchant().await;
    let event = merchant.stk("ws_CO_1", 0, Some("UIS4000001"), "10");
    let other = again(&event);
    let batch = [event.clone(), other, event.clone()];
    let recorded = kit.ledger.record_batch(&batch).await.unwrap();
    let deliveries: Vec<Delivery> = recorded.iter().map(|recorded| recorded.delivery).collect();
    assert_eq!(
        deliveries,
        [Delivery::New, Delivery::Duplicate, Delivery::Redelivered]
    );
    // The token may have been lost with the acknowledgement.
    let recorded = kit.tell(&[event.clone(), again(&event)]).await;
    assert_eq!(
        (recorded[0].delivery, &recorded[0].wake[..]),
        (Delivery::Redelivered, &[device][..])
    );
    assert_eq!(recorded[1].delivery, Delivery::Duplicate);
    assert_eq!(
        kit.number(
            "SELECT sum(duplicates)::bigint FROM events WHERE merchant_id = $1",
            &merchant
        )
        .await,
        2
    );
    assert_eq!(
        kit.number(
            "SELECT count(*) FROM payments WHERE merchant_id = $1",
            &merchant
        )
        .await,
        1
    );
    assert_eq!(kit.invoices(&merchant).await, ["sale pending 10.00"]);
}

#[tokio::test]
async fn stk_and_c2b_tell_of_one_payment_in_either_order() {
    let kit = Kit::new().await;
    for c2b_first in [false, true] {
        let (merchant, _) = kit.ordinary_merchant().await;
        let code = kit.code_of(&merchant).await;
        let mut events = vec![
            merchant.stk("ws_CO_1", 0, Some("UIS1"), "5"),
            merchant.c2b("UIS1", "5.00", &code),
        ];
        if c2b_first {
            events.reverse();
        }
        kit.tell(&events).await;
        assert_eq!(
            kit.payments(&merchant).await,
            ["success UIS1 ws_CO_1 5.00 KES"],
            "{c2b_first}"
        );
        assert_eq!(kit.invoices(&merchant).await, ["sale pending 5.00"]);
        let facts = "SELECT concat_ws(' ', phone, phone_is_full, short_code) FROM payments WHERE merchant_id = $1";
        assert_eq!(
            kit.lines(facts, &merchant).await,
            [format!("254712345678 t {code}")]
        );
    }
}

#[tokio::test]
async fn a_late_success_beats_a_time_out_and_a_late_failure_beats_nothing() {
    let kit = Kit::new().await;
    let (merchant, _) = kit.ordinary_merchant().await;
    kit.tell(&[merchant.stk("ws_CO_1", 1037, None, "")]).await;
    assert_eq!(
        kit.payments(&merchant).await,
        ["failed - ws_CO_1 - (result 1037)"]
    );
    kit.tell(&[
        merchant.stk("ws_CO_1", 0, Some("UIS1"), "5"),
        merchant.stk("ws_CO_1", 1032, None, ""),
    ])
    .await;
    assert_eq!(
        kit.payments(&merchant).await,
        ["success UIS1 ws_CO_1 5.00 KES"]
    );
    assert_eq!(kit.invoices(&merchant).await, ["sale pending 5.00"]);
}

#[tokio::test]
async fn time_out_then_c2b_then_the_late_stk_success_fold_into_one() {
    let kit = Kit::new().await;
    for in_one_batch in [false, true] {
        let (merchant, _) = kit.ordinary_merchant().await;
        let code = kit.code_of(&merchant).await;
        let events = [
            merchant.stk("ws_CO_1", 1037, None, ""),
            merchant.c2b("UIS1", "5.00", &code),
            merchant.stk("ws_CO_1", 0, Some("UIS1"), "5"),
        ];
        if in_one_batch {
            kit.ledger.record_batch(&events).await.unwrap();
        } else {
            kit.tell(&events).await;
        }
        assert_eq!(
            kit.payments(&merchant).await,
            ["success UIS1 ws_CO_1 5.00 KES"],
            "{in_one_batch}"
        );
        assert_eq!(kit.invoices(&merchant).await, ["sale pending 5.00"]);
        let strays = "SELECT count(*) FROM events e JOIN payments p ON p.id = e.payment_id
                      WHERE p.state = 'folded' AND e.merchant_id = $1";
        assert_eq!(kit.number(strays, &merchant).await, 0);
        let folded = "SELECT count(*) FROM payments WHERE state = 'folded' AND merchant_id = $1";
        assert_eq!(kit.number(folded, &merchant).await, 1);
        let reported = "SELECT count(*) FROM report_payments r JOIN merchants m ON m.slug = r.merchant WHERE m.id = $1";
        assert_eq!(kit.number(reported, &merchant).await, 1);
    }
}

#[tokio::test]
async fn twins_that_differ_in_amount_are_flagged_and_move_nothing() {
    let kit = Kit::new().await;
    let (merchant, _) = kit.ordinary_merchant().await;
    let code = kit.code_of(&merchant).await;
    let recorded = kit
        .tell(&[
            merchant.stk("ws_CO_1", 0, Some("UIS1"), "5"),
            merchant.c2b("UIS1", "6", &code),
        ])
        .await;
    assert_eq!((recorded[0].flagged, recorded[1].flagged), (false, true));
    assert_eq!(
        kit.payments(&merchant).await,
        ["success UIS1 ws_CO_1 5.00 KES flagged (another message names another amount)"]
    );
    assert_eq!(kit.invoices(&merchant).await, ["sale pending 5.00"]);
    let flagged =
        "SELECT kind FROM events WHERE merchant_id = $1 AND conflict AND payment_id IS NOT NULL";
    assert_eq!(kit.lines(flagged, &merchant).await, ["c2b_confirmation"]);
}

#[tokio::test]
async fn one_receipt_for_two_checkouts_is_flagged_and_folds_nothing() {
    let kit = Kit::new().await;
    let (merchant, _) = kit.ordinary_merchant().await;
    let told = [
        merchant.stk("ws_CO_1", 0, Some("UIS1"), "5"),
        merchant.stk("ws_CO_2", 0, Some("UIS2"), "5"),
        merchant.stk("ws_CO_3", 0, Some("UIS1"), "5"),
    ];
    let recorded = kit.tell(&told).await;
    assert!(recorded[2].flagged);
    assert_eq!(
        kit.payments(&merchant).await,
        [
            "success UIS1 ws_CO_1 5.00 KES flagged (another message names another checkout)",
            "success UIS2 ws_CO_2 5.00 KES",
        ]
    );
}

#[tokio::test]
async fn other_facts_under_a_known_key_keep_both_bodies_and_move_nothing() {
    let kit = Kit::new().await;
    let (merchant, _) = kit.ordinary_merchant().await;
    let other = merchant.stk("ws_CO_1", 0, Some("UIS1"), "6");
    let told = [
        merchant.stk("ws_CO_1", 0, Some("UIS1"), "5"),
        other.clone(),
        again(&other),
    ];
    let recorded = kit.tell(&told).await;
    assert_eq!(
        (recorded[1].delivery, recorded[1].flagged),
        (Delivery::Conflict, true)
    );
    assert_eq!(
        kit.payments(&merchant).await,
        ["success UIS1 ws_CO_1 5.00 KES"]
    );
    let kept = "SELECT count(*) FROM events e JOIN event_conflicts c ON c.event_id = e.id
                WHERE e.merchant_id = $1 AND e.conflict AND c.body = e.body";
    assert_eq!(kit.number(kept, &merchant).await, 1);
}

#[tokio::test]
async fn a_short_code_nobody_registered_is_recorded_and_owes_nothing() {
    let kit = Kit::new().await;
    let (merchant, _) = kit.ordinary_merchant().await;
    let recorded = kit.tell(&[merchant.c2b("UIS1", "5", "99999")]).await;
    assert!(recorded[0].flagged && recorded[0].wake.is_empty());
    assert_eq!(
        kit.payments(&merchant).await,
        ["pending UIS1 - 5.00 KES flagged (the short code is not registered for this merchant)"]
    );
    assert!(kit.invoices(&merchant).await.is_empty());
    // Its STK twin is proof enough that the money is the merchant's.
    kit.tell(&[merchant.stk("ws_CO_1", 0, Some("UIS1"), "5")])
        .await;
    assert_eq!(kit.invoices(&merchant).await, ["sale pending 5.00"]);
}

#[tokio::test]
async fn what_owes_no_receipt_says_why() {
    let kit = Kit::new().await;
    let merchant = kit.merchant().await;
    let (with_device, _) = kit.ordinary_merchant().await;
    let mut dollars = with_device.stk("ws_CO_1", 0, Some("UIS1"), "5");
    in_dollars(&mut dollars);
    kit.tell(&[merchant.stk("ws_CO_1", 0, Some("UIS1"), "5"), dollars])
        .await;
    assert_eq!(
        kit.payments(&merchant).await,
        ["success UIS1 ws_CO_1 5.00 KES (owes no receipt: the merchant had no tax device)"]
    );
    assert_eq!(
        kit.payments(&with_device).await,
        ["success UIS1 ws_CO_1 5.00 USD (owes no receipt: not in KES)"]
    );
    assert!(kit.invoices(&with_device).await.is_empty());
}

#[tokio::test]
async fn told_as_paid_without_a_receipt_or_with_a_code_nobody_knows_stays_pending() {
    let kit = Kit::new().await;
    let (merchant, _) = kit.ordinary_merchant().await;
    kit.tell(&[merchant.stk("ws_CO_1", 0, None, "5")]).await;
    assert_eq!(
        kit.payments(&merchant).await,
        ["pending - ws_CO_1 - (paid, without a receipt)"]
    );
    assert!(kit.invoices(&merchant).await.is_empty());
}

#[tokio::test]
async fn a_payment_known_by_reference_is_found_by_it() {
    let kit = Kit::new().await;
    let (merchant, _) = kit.ordinary_merchant().await;
    kit.tell(&[
        paystack(&merchant, "charge.failed"),
        paystack(&merchant, "charge.success"),
    ])
    .await;
    assert_eq!(kit.payments(&merchant).await, ["success ref_1 - 5.00 KES"]);
    assert_eq!(kit.invoices(&merchant).await, ["sale pending 5.00"]);
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
