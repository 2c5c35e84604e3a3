//! A message that becomes no event is set aside, and keeps no other message waiting.

use risiti_domain::MerchantId;
use risiti_providers::{Channel, channel_of};
use risiti_queue::Target;
use uuid::Uuid;

use crate::fixture::{Fixture, terminate_cleanly};

#[tokio::test]
async fn unreadable_body_is_kept_once_and_counted() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker();
    for _ in 0..3 {
        fixture
            .publish(
                Target::Payments,
                fixture.message(fixture.merchant, "{\"Body\":"),
            )
            .await;
    }
    fixture
        .wait_for_number(
            "SELECT coalesce(sum(deliveries), 0)::bigint FROM dead_letters",
            3,
        )
        .await;
    assert_eq!(
        fixture
            .query_number("SELECT count(*) FROM dead_letters WHERE cause = 'unreadable'")
            .await,
        1
    );
    fixture.wait_for_depth(Target::Payments, 0).await;
    fixture.wait_for_depth(Target::Dead, 1).await;
    let dead = fixture.take(Target::Dead).await;
    let id: Uuid = fixture
        .client
        .query_one("SELECT id FROM dead_letters", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(dead.headers["risiti-dead-letter-id"], id.to_string());
    assert_eq!(
        (&dead.headers["risiti-cause"][..], &dead.body[..]),
        ("unreadable", &b"{\"Body\":"[..])
    );
    assert_eq!(channel_of(&dead.headers), Some(Channel::DarajaStk));
    terminate_cleanly(worker).await;
}

#[tokio::test]
async fn refused_message_does_not_hold_up_its_batch() {
    let fixture = Fixture::new().await;
    // Published before the worker starts, so that all are in one batch.
    fixture.publish_paid(0..10).await;
    let stranger = MerchantId::from_uuid(Uuid::now_v7());
    let body = fixture.stk("UIS9999999").body;
    fixture
        .publish(Target::Payments, fixture.message(stranger, body))
        .await;
    let worker = fixture.worker();
    fixture
        .wait_for_number(
            "SELECT count(*) FROM dead_letters WHERE cause = 'poison' AND merchant_id IS NULL",
            1,
        )
        .await;
    fixture
        .wait_for_number("SELECT count(*) FROM payments WHERE state = 'success'", 10)
        .await;
    fixture.wait_for_depth(Target::Payments, 0).await;
    assert_eq!(
        fixture.take(Target::Dead).await.headers["risiti-merchant"],
        stranger.to_string()
    );
    terminate_cleanly(worker).await;
}

#[tokio::test]
async fn suspect_that_outlived_two_workers_is_poison() {
    let fixture = Fixture::new().await;
    let message = fixture.stk("UIS4000001");
    fixture
        .client
        .execute(
            "INSERT INTO suspects (event_id, tries) VALUES ($1, 2)",
            &[&message.id],
        )
        .await
        .unwrap();
    fixture.publish(Target::Suspects, message.clone()).await;
    let worker = fixture.worker();
    fixture
        .wait_for_number(
            "SELECT count(*) FROM dead_letters WHERE cause = 'poison'",
            1,
        )
        .await;
    fixture
        .wait_for_number(
            "SELECT count(*) FROM suspects WHERE closed_at IS NOT NULL",
            1,
        )
        .await;
    assert_eq!(fixture.query_number("SELECT count(*) FROM events").await, 0);
    assert_eq!(fixture.take(Target::Dead).await.body, message.body);
    fixture.wait_for_depth(Target::Suspects, 0).await;
    terminate_cleanly(worker).await;
}

/// Whoever has one merchant's secret sends bodies that nobody can read. All are kept, and beyond a
/// rate they cost little more than their rows.
#[tokio::test]
async fn many_unreadable_bodies_of_a_merchant_are_kept_without_a_message_each() {
    let fixture = Fixture::new().await;
    for n in 0..300 {
        // Each body comes twice.
        let body = format!("{{\"Body\": {}", n % 150);
        let message = fixture.message(fixture.merchant, body);
        fixture.publish(Target::Payments, message).await;
    }
    fixture.publish_paid(0..5).await;
    let worker = fixture.worker();
    fixture
        .wait_for_number("SELECT count(*) FROM payments WHERE state = 'success'", 5)
        .await;
    fixture.wait_for_depth(Target::Payments, 0).await;
    fixture
        .wait_for_number(
            "SELECT coalesce(sum(deliveries), 0)::bigint FROM dead_letters WHERE solved_at IS NULL",
            300,
        )
        .await;
    let kept = "SELECT count(*) FROM dead_letters WHERE cause = 'unreadable' AND body IS NOT NULL
        AND event_id IS NOT NULL AND headers ? 'risiti-envelope' AND merchant_id IS NOT NULL";
    assert_eq!(fixture.query_number(kept).await, 150);
    let depth = fixture.broker.depth(Target::Dead).await.unwrap();
    assert!((1..=60).contains(&depth), "{depth}");
    let log = terminate_cleanly(worker).await;
    assert!(log.contains("gets many unreadable messages"), "{log}");
}
