//! The path of a good message.

use risiti_queue::Target;
use risiti_testkit::{eventually, http_status};
use uuid::Uuid;

use crate::stage::{BOUND, Stage, ends_well};

#[tokio::test]
async fn from_a_callback_to_a_payment_an_invoice_and_a_lane_token() {
    let stage = Stage::new().await;
    let mut worker = stage.worker();
    let ops = worker.address_after("ops listener on ").await;
    let ready = async || (http_status(ops, "/readyz").await? == 200).then_some(());
    eventually("ready", BOUND, ready).await;
    let message = stage.stk("UIS4000001");
    stage.publish(Target::Payments, message.clone()).await;

    let token = stage.take(Target::Lanes).await;
    assert_eq!(token.headers["risiti-device"], stage.device.to_string());
    assert_eq!(
        token.body,
        format!(r#"{{"device_id":"{}"}}"#, stage.device).as_bytes()
    );
    let books =
        "SELECT concat_ws(' ', p.state, p.money_key, p.amount::text, i.state, i.amount::text, e.body = $1)
                 FROM payments p JOIN invoices i ON i.payment_id = p.id JOIN events e ON e.payment_id = p.id";
    let books: String = stage
        .client
        .query_one(books, &[&message.body.as_ref()])
        .await
        .unwrap()
        .get(0);
    assert_eq!(books, "success UIS4000001 1500.10 pending 1500.10 t");
    stage.depth_becomes(Target::Payments, 0).await;

    let line = worker.line_with("payment moved", BOUND).await;
    assert!(
        line.contains(&message.id.to_string()) && line.contains("4bf92f3577b34da6a3ce929d0e0e4736"),
        "{line}"
    );
    let log = worker.log();
    for secret in ["254708374149", "ws_CO_", "UIS4000001"] {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
    ends_well(worker).await;
}

#[tokio::test]
async fn two_workers_share_a_queue_and_record_everything_once() {
    let stage = Stage::new().await;
    let workers = [
        stage.worker(),
        stage.worker_with(stage.database_url(), &["--batch-size", "7"]),
    ];
    let publishes = (0..200).map(|n| {
        let message = stage.stk(&format!("UIS{:07}", n / 2));
        stage.publish(Target::Payments, message)
    });
    futures_util::future::join_all(publishes).await;
    stage
        .becomes(
            "SELECT count(*) + coalesce(sum(duplicates), 0)::bigint FROM events",
            200,
        )
        .await;
    assert_eq!(
        stage
            .number("SELECT count(*) FROM payments WHERE state = 'success'")
            .await,
        100
    );
    assert_eq!(stage.number("SELECT count(*) FROM invoices").await, 100);
    // One device, and nobody takes its lane: one token, whatever the number of invoices.
    stage.depth_becomes(Target::Lanes, 1).await;
    for worker in workers {
        ends_well(worker).await;
    }
}

#[tokio::test]
async fn a_suspect_is_recorded_alone_and_its_book_closed() {
    let stage = Stage::new().await;
    let worker = stage.worker();
    let message = stage.stk("UIS4000001");
    stage.publish(Target::Suspects, message.clone()).await;
    stage
        .becomes(
            "SELECT count(*) FROM suspects WHERE tries = 1 AND closed_at IS NOT NULL",
            1,
        )
        .await;
    let recorded: Uuid = stage
        .client
        .query_one("SELECT id FROM events", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(recorded, message.id);
    stage.depth_becomes(Target::Suspects, 0).await;
    ends_well(worker).await;
}

#[tokio::test]
async fn a_batch_larger_than_what_is_held_is_a_bad_setting() {
    let stage = Stage::new().await;
    let mut worker = stage.worker_with(
        stage.database_url(),
        &["--prefetch", "10", "--batch-size", "50"],
    );
    assert_eq!(worker.exit(BOUND).await.code(), Some(2));
    assert!(worker.log().contains("--prefetch"), "{}", worker.log());
}
