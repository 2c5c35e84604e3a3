//! The database away, and workers killed: nothing lost, nothing doubled.

use risiti_queue::Target;
use risiti_testkit::{Link, amqp_url, eventually, http_status};

use crate::stage::{BOUND, Stage, ends_well};

const EVENTS: &str = "SELECT count(*) FROM events";

#[tokio::test]
async fn without_the_database_nothing_is_taken_and_with_it_all_is_recorded() {
    let stage = Stage::new().await;
    let link = Link::to(stage.database_url()).await;
    let mut worker = stage.worker_with(link.url(), &[]);
    let ops = worker.address_after("ops listener on ").await;
    let readiness = async |wanted: u16| {
        eventually("readiness", BOUND, async || {
            (http_status(ops, "/readyz").await? == wanted).then_some(())
        })
        .await;
    };
    readiness(200).await;
    link.cut();
    readiness(503).await;
    for n in 0..5 {
        stage
            .publish(Target::Payments, stage.stk(&format!("UIS{n:07}")))
            .await;
    }
    stage.depth_becomes(Target::Payments, 5).await;
    link.restore();
    stage.becomes(EVENTS, 5).await;
    assert_eq!(
        stage
            .number("SELECT coalesce(sum(duplicates), 0)::bigint FROM events")
            .await,
        0
    );
    stage.depth_becomes(Target::Payments, 0).await;
    ends_well(worker).await;
}

/// A fail-over: the same address is a standby for a while. That is no message's fault (protocol C3).
#[tokio::test]
async fn a_server_that_takes_no_writes_costs_no_message() {
    let stage = Stage::new().await;
    let mut worker = stage.worker();
    let ops = worker.address_after("ops listener on ").await;
    let readiness = async |wanted: u16| {
        eventually("readiness", BOUND, async || {
            (http_status(ops, "/readyz").await? == wanted).then_some(())
        })
        .await;
    };
    readiness(200).await;
    stage.takes_no_writes(true).await;
    for n in 0..5 {
        stage
            .publish(Target::Payments, stage.stk(&format!("UIS{n:07}")))
            .await;
    }
    readiness(503).await;
    assert!(worker.log().contains("takes no writes"), "{}", worker.log());
    stage.takes_no_writes(false).await;
    stage.becomes(EVENTS, 5).await;
    readiness(200).await;
    assert_eq!(stage.number("SELECT count(*) FROM dead_letters").await, 0);
    stage.depth_becomes(Target::Payments, 0).await;
    ends_well(worker).await;
}

#[tokio::test]
async fn answers_lost_in_the_middle_double_nothing() {
    let stage = Stage::new().await;
    let link = Link::to(stage.database_url()).await;
    let mut worker = stage.worker_with(link.url(), &["--batch-size", "3"]);
    let ops = worker.address_after("ops listener on ").await;
    eventually("ready", BOUND, async || {
        (http_status(ops, "/readyz").await? == 200).then_some(())
    })
    .await;
    link.lose_answers();
    for n in 0..20 {
        stage
            .publish(Target::Payments, stage.stk(&format!("UIS{n:07}")))
            .await;
    }
    stage.depth_becomes(Target::Payments, 0).await;
    link.cut();
    link.restore();
    stage.becomes(EVENTS, 20).await;
    stage.becomes("SELECT count(*) FROM invoices", 20).await;
    assert_eq!(
        stage
            .number("SELECT coalesce(sum(duplicates), 0)::bigint FROM events")
            .await,
        0
    );
    ends_well(worker).await;
    stage.depth_becomes(Target::Payments, 0).await;
}

/// What is set aside waits for the broker's confirm, and is held back until there is one.
#[tokio::test]
async fn with_the_broker_cut_again_and_again_all_is_recorded_once_or_set_aside_once() {
    let stage = Stage::new().await;
    let link = Link::to(&amqp_url()).await;
    let worker = stage.worker_between(stage.database_url(), link.url(), &["--batch-size", "5"]);
    for n in 0..60 {
        stage
            .publish(Target::Payments, stage.stk(&format!("UIS{n:07}")))
            .await;
        if n % 10 == 0 {
            let unreadable = format!("{{{n}");
            stage
                .publish(Target::Payments, stage.message(stage.merchant, unreadable))
                .await;
        }
        if n % 20 == 10 {
            link.cut();
            link.restore();
        }
    }
    stage.becomes(EVENTS, 60).await;
    stage.becomes("SELECT count(*) FROM dead_letters", 6).await;
    stage.depth_becomes(Target::Payments, 0).await;
    assert_eq!(
        stage
            .number("SELECT coalesce(sum(duplicates), 0)::bigint FROM events")
            .await,
        0
    );
    assert_eq!(stage.number("SELECT count(*) FROM invoices").await, 60);
    ends_well(worker).await;
}

#[tokio::test]
async fn killed_again_and_again_it_records_everything_once() {
    let stage = Stage::new().await;
    let all = 300;
    let publishes =
        (0..all).map(|n| stage.publish(Target::Payments, stage.stk(&format!("UIS{n:07}"))));
    futures_util::future::join_all(publishes).await;
    for share in 1..=3 {
        let mut worker = stage.worker_with(stage.database_url(), &["--batch-size", "10"]);
        let enough = share * all / 4;
        eventually("a share", BOUND, async || {
            (stage.number(EVENTS).await >= enough).then_some(())
        })
        .await;
        worker.kill();
        worker.exit(BOUND).await;
    }
    let last = stage.worker();
    stage.becomes(EVENTS, all).await;
    stage.depth_becomes(Target::Payments, 0).await;
    stage.depth_becomes(Target::Suspects, 0).await;
    ends_well(last).await;
    // The queue is empty: whoever came again has been recognised.
    assert_eq!(
        stage
            .number("SELECT coalesce(sum(duplicates), 0)::bigint FROM events")
            .await,
        0
    );
    assert_eq!(stage.number("SELECT count(*) FROM payments").await, all);
    assert_eq!(stage.number("SELECT count(*) FROM invoices").await, all);
}
