//! Webhooks that come again after `risiti-admin prune` has removed the first one's body.

use risiti_ledger::Delivery;

use crate::fixture::{Fixture, again};

#[tokio::test]
async fn duplicate_is_known_after_its_body_is_gone() {
    let fixture = Fixture::new().await;
    let merchant = fixture.merchant().await;
    let event = merchant.stk("ws_CO_1", 0, Some("UIS4000001"), "10");
    fixture.record(std::slice::from_ref(&event)).await;
    fixture
        .client
        .batch_execute(
            "UPDATE events SET recorded_at = now() - interval '400 days';
             UPDATE events SET body = NULL, body_sha256 = sha256(body), body_removed_at = now()",
        )
        .await
        .unwrap();

    let mut contradiction = merchant.stk("ws_CO_1", 0, Some("UIS4000001"), "11");
    contradiction.event.delivery_key = event.event.delivery_key.clone();
    let events = [again(&event), event.clone(), contradiction];
    let recorded = fixture.record(&events).await;
    let deliveries: Vec<Delivery> = recorded.iter().map(|recorded| recorded.delivery).collect();
    assert_eq!(
        deliveries,
        [
            Delivery::Duplicate,
            Delivery::Redelivered,
            Delivery::Conflict
        ]
    );
    assert_eq!(fixture.payments(&merchant).await.len(), 1);
}
