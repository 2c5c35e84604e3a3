//! What providers tell, in the orders in which they tell it, and what the books say in the end.

use risiti_domain::PaymentState;
use risiti_ledger::Delivery;

use crate::kit::{Kit, again};

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
    assert_eq!(kit.payments(&merchant).await, ["success UIS4000001 ws_CO_1 1500.10 KES"]);
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
    assert_eq!(deliveries, [Delivery::New, Delivery::Duplicate, Delivery::Again]);
    // The token may have been lost with the acknowledgement.
    let recorded = kit.tell(&[event.clone(), again(&event)]).await;
    assert_eq!((recorded[0].delivery, &recorded[0].wake[..]), (Delivery::Again, &[device][..]));
    assert_eq!(recorded[1].delivery, Delivery::Duplicate);
    assert_eq!(
        kit.number("SELECT sum(duplicates)::bigint FROM events WHERE merchant_id = $1", &merchant).await,
        2
    );
    assert_eq!(kit.number("SELECT count(*) FROM payments WHERE merchant_id = $1", &merchant).await, 1);
    assert_eq!(kit.invoices(&merchant).await, ["sale pending 10.00"]);
}
