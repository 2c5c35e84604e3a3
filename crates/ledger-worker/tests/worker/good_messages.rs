//! What becomes of good messages.

use risiti_queue::Target;
use risiti_testkit::{eventually, http_status};
use uuid::Uuid;

use crate::fixture::{Fixture, WAIT_MAX, terminate_cleanly};

#[tokio::test]
async fn callback_becomes_payment_invoice_and_wake_up() {
    let fixture = Fixture::new().await;
    let mut worker = fixture.worker();
    let ops = worker.address_after("ops listener on ").await;
    let ready = async || (http_status(ops, "/readyz").await? == 200).then_some(());
    eventually("ready", WAIT_MAX, ready).await;
    let message = fixture.stk("UIS4000001");
    fixture.publish(Target::Payments, message.clone()).await;

    let wake_up = fixture.take(Target::Lanes).await;
    assert_eq!(wake_up.headers["risiti-device"], fixture.device.to_string());
    assert_eq!(
        wake_up.body,
        format!(r#"{{"device_id":"{}"}}"#, fixture.device).as_bytes()
    );
    let query =
        "SELECT concat_ws(' ', p.state, p.money_key, p.amount::text, i.state, i.amount::text, e.body = $1)
                 FROM payments p JOIN invoices i ON i.payment_id = p.id JOIN events e ON e.payment_id = p.id";
    let rows: String = fixture
        .client
        .query_one(query, &[&message.body.as_ref()])
        .await
        .unwrap()
        .get(0);
    assert_eq!(rows, "success UIS4000001 1500.10 pending 1500.10 t");
    fixture.wait_for_depth(Target::Payments, 0).await;

    let line = worker.line_with("payment moved", WAIT_MAX).await;
    assert!(
        line.contains(&message.id.to_string()) && line.contains("4bf92f3577b34da6a3ce929d0e0e4736"),
        "{line}"
    );
    let log = terminate_cleanly(worker).await;
    for secret in ["254708374149", "ws_CO_", "UIS4000001"] {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
}

#[tokio::test]
async fn two_workers_share_a_queue_and_record_each_event_once() {
    let fixture = Fixture::new().await;
    let workers = [
        fixture.worker(),
        fixture.worker_with(fixture.database_url(), &["--batch-size", "7"]),
    ];
    let publishes = (0..200).map(|n| {
        let message = fixture.stk(&format!("UIS{:07}", n / 2));
        fixture.publish(Target::Payments, message)
    });
    futures_util::future::join_all(publishes).await;
    fixture
        .wait_for_number(
            "SELECT count(*) + coalesce(sum(duplicates), 0)::bigint FROM events",
            200,
        )
        .await;
    assert_eq!(
        fixture
            .query_number("SELECT count(*) FROM payments WHERE state = 'success'")
            .await,
        100
    );
    assert_eq!(
        fixture.query_number("SELECT count(*) FROM invoices").await,
        100
    );
    // One device, and nobody takes its lane: one wake-up, whatever the number of invoices.
    fixture.wait_for_depth(Target::Lanes, 1).await;
    for worker in workers {
        terminate_cleanly(worker).await;
    }
}

#[tokio::test]
async fn suspect_is_recorded_alone_and_closed() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker();
    let message = fixture.stk("UIS4000001");
    fixture.publish(Target::Suspects, message.clone()).await;
    fixture
        .wait_for_number(
            "SELECT count(*) FROM suspects WHERE tries = 1 AND closed_at IS NOT NULL",
            1,
        )
        .await;
    let recorded: Uuid = fixture
        .client
        .query_one("SELECT id FROM events", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(recorded, message.id);
    fixture.wait_for_depth(Target::Suspects, 0).await;
    terminate_cleanly(worker).await;
}

#[tokio::test]
async fn batch_larger_than_the_prefetch_is_a_bad_setting() {
    let fixture = Fixture::new().await;
    let mut worker = fixture.worker_with(
        fixture.database_url(),
        &["--prefetch", "10", "--batch-size", "50"],
    );
    assert_eq!(worker.exit(WAIT_MAX).await.code(), Some(2));
    assert!(worker.log().contains("--prefetch"), "{}", worker.log());
}
