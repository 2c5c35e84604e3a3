//! What becomes no event is set aside, and keeps nobody else waiting.

use risiti_domain::MerchantId;
use risiti_queue::Target;
use uuid::Uuid;

use crate::stage::{Stage, ends_well};

#[tokio::test]
async fn an_unreadable_body_is_kept_once_and_counted() {
    let stage = Stage::new().await;
    let worker = stage.worker();
    for _ in 0..3 {
        stage
            .publish(
                Target::Payments,
                stage.message(stage.merchant, "{\"Body\":"),
            )
            .await;
    }
    stage
        .becomes(
            "SELECT coalesce(sum(deliveries), 0)::bigint FROM dead_letters",
            3,
        )
        .await;
    assert_eq!(
        stage
            .number("SELECT count(*) FROM dead_letters WHERE cause = 'unreadable'")
            .await,
        1
    );
    stage.depth_becomes(Target::Payments, 0).await;
    stage.depth_becomes(Target::Dead, 1).await;
    let dead = stage.take(Target::Dead).await;
    let id: Uuid = stage
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
    assert_eq!(dead.headers["risiti-channel"], "daraja_stk");
    ends_well(worker).await;
}

#[tokio::test]
async fn one_message_the_database_refuses_does_not_hold_up_the_others() {
    let stage = Stage::new().await;
    // All in one batch: published before the worker starts.
    for n in 0..10 {
        stage
            .publish(Target::Payments, stage.stk(&format!("UIS{n:07}")))
            .await;
    }
    let stranger = MerchantId::from_uuid(Uuid::now_v7());
    let body = stage.stk("UIS9999999").body;
    stage
        .publish(Target::Payments, stage.message(stranger, body))
        .await;
    let worker = stage.worker();
    stage
        .becomes(
            "SELECT count(*) FROM dead_letters WHERE cause = 'poison' AND merchant_id IS NULL",
            1,
        )
        .await;
    stage
        .becomes("SELECT count(*) FROM payments WHERE state = 'success'", 10)
        .await;
    stage.depth_becomes(Target::Payments, 0).await;
    assert_eq!(
        stage.take(Target::Dead).await.headers["risiti-merchant"],
        stranger.to_string()
    );
    ends_well(worker).await;
}

#[tokio::test]
async fn a_suspect_that_outlived_two_workers_is_poison() {
    let stage = Stage::new().await;
    let message = stage.stk("UIS4000001");
    stage
        .client
        .execute(
            "INSERT INTO suspects (event_id, tries) VALUES ($1, 2)",
            &[&message.id],
        )
        .await
        .unwrap();
    stage.publish(Target::Suspects, message.clone()).await;
    let worker = stage.worker();
    stage
        .becomes(
            "SELECT count(*) FROM dead_letters WHERE cause = 'poison'",
            1,
        )
        .await;
    stage
        .becomes(
            "SELECT count(*) FROM suspects WHERE closed_at IS NOT NULL",
            1,
        )
        .await;
    assert_eq!(stage.number("SELECT count(*) FROM events").await, 0);
    assert_eq!(stage.take(Target::Dead).await.body, message.body);
    stage.depth_becomes(Target::Suspects, 0).await;
    ends_well(worker).await;
}
