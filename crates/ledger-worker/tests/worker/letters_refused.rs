//! The broker takes no dead letters. Only the messages they stand for wait.

use risiti_domain::MerchantId;
use risiti_queue::{Message, Target};
use risiti_testkit::{Process, eventually};
use uuid::Uuid;

use crate::fixture::{Fixture, WAIT_MAX, terminate_cleanly};

const SUCCESSES: &str = "SELECT count(*) FROM payments WHERE state = 'success'";
const REPEATED: &str = "SELECT coalesce(sum(duplicates), 0)::bigint FROM events";

/// Starts a worker, and has the broker refuse dead letters once the worker has its queues.
async fn worker_without_dead_letters(fixture: &Fixture, args: &[&str]) -> Process {
    let mut worker = fixture.worker_with(fixture.database_url(), args);
    let ops = worker.address_after("ops listener on ").await;
    fixture.wait_ready(ops).await;
    // A connection that is made later could not declare the exchange.
    assert!(fixture.broker.get(Target::Dead).await.unwrap().is_none());
    fixture.namespace.refuse_dead_letters().await;
    worker
}

/// Each is of a merchant of its own, because many of one merchant need no message in `[dead]`.
fn unreadable(fixture: &Fixture, n: u32) -> Message {
    let merchant = MerchantId::from_uuid(Uuid::now_v7());
    fixture.message(merchant, format!("{{{n}"))
}

#[tokio::test]
async fn batch_is_acked_though_its_letter_is_refused() {
    let fixture = Fixture::new().await;
    let mut worker = worker_without_dead_letters(&fixture, &["--batch-wait=2s"]).await;
    fixture
        .publish(Target::Payments, unreadable(&fixture, 0))
        .await;
    fixture.publish_paid(0..20).await;
    worker
        .line_with("failed to set a message aside", WAIT_MAX)
        .await;
    fixture.wait_for_number(SUCCESSES, 20).await;

    worker.kill();
    worker.exit(WAIT_MAX).await;
    fixture.wait_for_depth(Target::Payments, 1).await;
}

#[tokio::test]
async fn payments_go_on_while_a_letter_is_refused() {
    let fixture = Fixture::new().await;
    let mut worker = worker_without_dead_letters(&fixture, &[]).await;
    fixture
        .publish(Target::Payments, unreadable(&fixture, 0))
        .await;
    fixture.publish_paid(0..20).await;
    // The letter spends its retry budget, and that takes nobody else along.
    worker.line_with("giving a message back", WAIT_MAX).await;
    fixture.publish_paid(20..40).await;
    fixture.wait_for_number(SUCCESSES, 40).await;
    let log = worker.log();
    assert!(!log.contains("database unavailable"), "{log}");
    assert!(!log.contains("acknowledgements lost"), "{log}");

    fixture.namespace.take_dead_letters().await;
    fixture
        .wait_for_number("SELECT count(*) FROM dead_letters", 1)
        .await;
    let dead = fixture.take(Target::Dead).await;
    assert_eq!(dead.headers["risiti-cause"], "unreadable");
    terminate_cleanly(worker).await;
    fixture.wait_for_depth(Target::Payments, 0).await;
    assert_eq!(fixture.query_number(REPEATED).await, 0);
}

/// More letters than may wait. Those without a place become suspects, and keep no place of a
/// payment.
#[tokio::test]
async fn flood_of_refused_letters_leaves_room_for_payments() {
    let fixture = Fixture::new().await;
    let args = ["--prefetch=10", "--batch-size=5"];
    let worker = worker_without_dead_letters(&fixture, &args).await;
    let letters = 40;
    for n in 0..letters {
        fixture
            .publish(Target::Payments, unreadable(&fixture, n))
            .await;
    }
    fixture.publish_paid(0..20).await;
    fixture.wait_for_number(SUCCESSES, 20).await;
    // Half of the prefetch waits, and the suspects hold some as well. The rest waits in a queue.
    eventually("the letters are suspects", WAIT_MAX, async || {
        (fixture.broker.depth(Target::Suspects).await.ok()? >= 10).then_some(())
    })
    .await;

    fixture.namespace.take_dead_letters().await;
    fixture
        .wait_for_number("SELECT count(*) FROM dead_letters", letters.into())
        .await;
    fixture
        .wait_for_number(
            "SELECT count(*) FROM dead_letters WHERE cause = 'unreadable'",
            letters.into(),
        )
        .await;
    terminate_cleanly(worker).await;
    fixture.wait_for_depth(Target::Payments, 0).await;
    fixture.wait_for_depth(Target::Suspects, 0).await;
    assert_eq!(fixture.query_number(REPEATED).await, 0);
}
