//! Two batches are under way at once, and end in any order.

use risiti_queue::Target;
use uuid::Uuid;

use crate::fixture::{Fixture, terminate_cleanly};

const EVENTS: &str = "SELECT count(*) FROM events";
const REPEATED: &str = "SELECT coalesce(sum(duplicates), 0)::bigint FROM events";

#[tokio::test]
async fn batch_that_waits_for_a_lock_keeps_no_other_waiting() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker_with(fixture.database_url(), &["--batch-size=1"]);
    fixture
        .publish(Target::Payments, fixture.stk("UIS4000000"))
        .await;
    fixture.wait_for_number(EVENTS, 1).await;
    let lock = "BEGIN; SELECT FROM payments FOR UPDATE";
    fixture.client.batch_execute(lock).await.unwrap();

    // Another report of the same money waits for its payment, and others go past it.
    let mut again = fixture.stk("UIS4000000");
    let body = String::from_utf8(again.body.to_vec()).unwrap();
    again.body = body.replace("ws_CO_", "ws_CO_again_").into();
    fixture.publish(Target::Payments, again).await;
    fixture.publish_paid(0..20).await;
    fixture.wait_for_number(EVENTS, 21).await;

    fixture.client.batch_execute("COMMIT").await.unwrap();
    fixture.wait_for_number(EVENTS, 22).await;
    // Both are finished and acknowledged at shutdown.
    terminate_cleanly(worker).await;
    fixture.wait_for_depth(Target::Payments, 0).await;
    assert_eq!(fixture.query_number(REPEATED).await, 0);
}

/// Many reports of few payments, so that batches meet each other's locks all the time.
#[tokio::test]
async fn batches_of_the_same_payments_record_each_event_once() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker_with(fixture.database_url(), &["--batch-size=10"]);
    let all = 300;
    let publishes = (0..all).map(|n| {
        let mut message = fixture.stk(&format!("UIS{:07}", n % 7));
        let body = String::from_utf8(message.body.to_vec()).unwrap();
        let checkout = format!("ws_CO_{}_", Uuid::now_v7().simple());
        message.body = body.replace("ws_CO_", &checkout).into();
        fixture.publish(Target::Payments, message)
    });
    futures_util::future::join_all(publishes).await;
    fixture.wait_for_number(EVENTS, all).await;
    fixture.wait_for_depth(Target::Payments, 0).await;
    let successes = "SELECT count(*) FROM payments WHERE state = 'success'";
    assert_eq!(fixture.query_number(successes).await, 7);
    assert_eq!(
        fixture.query_number("SELECT count(*) FROM invoices").await,
        7
    );
    fixture.wait_for_depth(Target::Suspects, 0).await;
    fixture.wait_for_depth(Target::Dead, 0).await;
    terminate_cleanly(worker).await;
}
