//! The database or the broker away, and workers killed. Nothing is lost and nothing is doubled.

use risiti_queue::Target;
use risiti_testkit::{Link, amqp_url, eventually, http_status};

use crate::fixture::{Fixture, WAIT_MAX, terminate_cleanly};

const EVENTS: &str = "SELECT count(*) FROM events";

#[tokio::test]
async fn nothing_is_taken_while_the_database_is_away() {
    let fixture = Fixture::new().await;
    let link = Link::to(fixture.database_url()).await;
    let mut worker = fixture.worker_with(link.url(), &[]);
    let ops = worker.address_after("ops listener on ").await;
    let readiness = async |wanted: u16| {
        eventually("readiness", WAIT_MAX, async || {
            (http_status(ops, "/readyz").await? == wanted).then_some(())
        })
        .await;
    };
    readiness(200).await;
    link.cut();
    readiness(503).await;
    fixture.publish_paid(0..5).await;
    fixture.wait_for_depth(Target::Payments, 5).await;
    link.restore();
    fixture.wait_for_number(EVENTS, 5).await;
    assert_eq!(
        fixture
            .query_number("SELECT coalesce(sum(duplicates), 0)::bigint FROM events")
            .await,
        0
    );
    fixture.wait_for_depth(Target::Payments, 0).await;
    terminate_cleanly(worker).await;
}

/// During a fail-over the same address is a standby for a while. No message causes that (protocol
/// C3).
#[tokio::test]
async fn read_only_database_costs_no_message() {
    let fixture = Fixture::new().await;
    let mut worker = fixture.worker();
    let ops = worker.address_after("ops listener on ").await;
    let readiness = async |wanted: u16| {
        eventually("readiness", WAIT_MAX, async || {
            (http_status(ops, "/readyz").await? == wanted).then_some(())
        })
        .await;
    };
    readiness(200).await;
    fixture.set_read_only(true).await;
    fixture.publish_paid(0..5).await;
    readiness(503).await;
    worker.line_with("takes no writes", WAIT_MAX).await;
    fixture.set_read_only(false).await;
    fixture.wait_for_number(EVENTS, 5).await;
    readiness(200).await;
    assert_eq!(
        fixture
            .query_number("SELECT count(*) FROM dead_letters")
            .await,
        0
    );
    fixture.wait_for_depth(Target::Payments, 0).await;
    terminate_cleanly(worker).await;
}

/// A full disk refuses writes and answers reads. Messages wait in their queue, where nothing counts
/// against them.
#[tokio::test]
async fn full_disk_leaves_messages_in_their_queue() {
    let fixture = Fixture::new().await;
    let mut worker = fixture.worker();
    let ops = worker.address_after("ops listener on ").await;
    fixture.wait_ready(ops).await;
    fixture.set_disk_full(true).await;
    worker.line_with("database unavailable", WAIT_MAX).await;
    let problem = "53100: could not extend file";
    assert!(worker.log().contains(problem), "{}", worker.log());
    // The first may come while the consumer is being closed. The others find it closed.
    fixture.publish_paid(0..1).await;
    fixture.wait_for_depth(Target::Payments, 1).await;
    fixture.publish_paid(1..50).await;
    fixture.wait_for_depth(Target::Payments, 50).await;
    let get = async || fixture.broker.get(Target::Payments).await.ok()?;
    let first = eventually("a message", WAIT_MAX, get).await;
    let second = eventually("another message", WAIT_MAX, get).await;
    assert_eq!(
        second.delivery_count, 0,
        "it was never taken and given back"
    );
    for delivery in [first, second] {
        delivery.reject_to_requeue().await.unwrap();
    }

    fixture.set_disk_full(false).await;
    fixture.wait_for_number(EVENTS, 50).await;
    fixture.wait_for_depth(Target::Payments, 0).await;
    fixture.wait_for_depth(Target::Suspects, 0).await;
    terminate_cleanly(worker).await;
}

/// The probe finds nothing wrong, and no payment can be recorded.
#[tokio::test]
async fn failure_that_no_probe_sees_returns_one_message_at_a_time() {
    let fixture = Fixture::new().await;
    let mut worker = fixture.worker();
    let ops = worker.address_after("ops listener on ").await;
    fixture.wait_ready(ops).await;
    let lock = "CREATE FUNCTION no_payments() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            RAISE EXCEPTION 'no space' USING ERRCODE = '53100'; END $$;
        CREATE TRIGGER aa_no_payments BEFORE INSERT ON payments
            FOR EACH STATEMENT EXECUTE FUNCTION no_payments()";
    fixture.client.batch_execute(lock).await.unwrap();
    fixture.publish_paid(0..50).await;
    // One batch is given up and everything comes back. From then on one message is held.
    worker.line_with("taking one message", WAIT_MAX).await;
    fixture.wait_for_depth(Target::Payments, 49).await;

    let mend = "DROP FUNCTION no_payments() CASCADE";
    fixture.client.batch_execute(mend).await.unwrap();
    fixture.wait_for_number(EVENTS, 50).await;
    fixture.wait_for_depth(Target::Payments, 0).await;
    fixture.wait_for_depth(Target::Suspects, 0).await;
    terminate_cleanly(worker).await;
}

#[tokio::test]
async fn lost_database_answers_double_nothing() {
    let fixture = Fixture::new().await;
    let link = Link::to(fixture.database_url()).await;
    let mut worker = fixture.worker_with(link.url(), &["--batch-size", "3"]);
    let ops = worker.address_after("ops listener on ").await;
    eventually("ready", WAIT_MAX, async || {
        (http_status(ops, "/readyz").await? == 200).then_some(())
    })
    .await;
    link.lose_answers();
    fixture.publish_paid(0..20).await;
    fixture.wait_for_depth(Target::Payments, 0).await;
    link.cut();
    link.restore();
    fixture.wait_for_number(EVENTS, 20).await;
    fixture
        .wait_for_number("SELECT count(*) FROM invoices", 20)
        .await;
    assert_eq!(
        fixture
            .query_number("SELECT coalesce(sum(duplicates), 0)::bigint FROM events")
            .await,
        0
    );
    terminate_cleanly(worker).await;
    fixture.wait_for_depth(Target::Payments, 0).await;
}

/// A message that is set aside is held until the broker confirms its dead letter.
#[tokio::test]
async fn broker_cuts_neither_lose_nor_double_a_message() {
    let fixture = Fixture::new().await;
    let link = Link::to(&amqp_url()).await;
    let worker = fixture.worker_between(fixture.database_url(), link.url(), &["--batch-size", "5"]);
    for n in 0..60 {
        fixture
            .publish(Target::Payments, fixture.stk(&format!("UIS{n:07}")))
            .await;
        if n % 10 == 0 {
            let unreadable = format!("{{{n}");
            fixture
                .publish(
                    Target::Payments,
                    fixture.message(fixture.merchant, unreadable),
                )
                .await;
        }
        if n % 20 == 10 {
            link.cut();
            link.restore();
        }
    }
    fixture.wait_for_number(EVENTS, 60).await;
    fixture
        .wait_for_number("SELECT count(*) FROM dead_letters", 6)
        .await;
    fixture.wait_for_depth(Target::Payments, 0).await;
    assert_eq!(
        fixture
            .query_number("SELECT coalesce(sum(duplicates), 0)::bigint FROM events")
            .await,
        0
    );
    assert_eq!(
        fixture.query_number("SELECT count(*) FROM invoices").await,
        60
    );
    terminate_cleanly(worker).await;
}

#[tokio::test]
async fn killed_workers_record_everything_once() {
    let fixture = Fixture::new().await;
    let all = 300;
    let publishes =
        (0..all).map(|n| fixture.publish(Target::Payments, fixture.stk(&format!("UIS{n:07}"))));
    futures_util::future::join_all(publishes).await;
    for share in 1..=3 {
        let mut worker = fixture.worker_with(fixture.database_url(), &["--batch-size", "10"]);
        let enough = share * all / 4;
        eventually("a share", WAIT_MAX, async || {
            (fixture.query_number(EVENTS).await >= enough).then_some(())
        })
        .await;
        worker.kill();
        worker.exit(WAIT_MAX).await;
    }
    let last = fixture.worker();
    fixture.wait_for_number(EVENTS, all).await;
    fixture.wait_for_depth(Target::Payments, 0).await;
    fixture.wait_for_depth(Target::Suspects, 0).await;
    terminate_cleanly(last).await;
    // The queue is empty, so every message that came again has been recognised.
    assert_eq!(
        fixture
            .query_number("SELECT coalesce(sum(duplicates), 0)::bigint FROM events")
            .await,
        0
    );
    assert_eq!(
        fixture.query_number("SELECT count(*) FROM payments").await,
        all
    );
    assert_eq!(
        fixture.query_number("SELECT count(*) FROM invoices").await,
        all
    );
}
