//! Killed, stopped, doubled, cut off: the pile is the same in the end (protocol E5).

use risiti_ledger::{DeadLetterFilter, MoveOutcome, OperatorAction, RunStatus};
use risiti_queue::Target;
use risiti_testkit::{Link, amqp_url, eventually};

use crate::stage::{BOUND, Stage};

#[tokio::test]
async fn killed_half_way_and_run_again_everything_is_replayed_once() {
    let stage = Stage::new().await;
    for _ in 0..12 {
        stage.refused("891").await;
    }
    let process = stage
        .program(&["run", "--yes", "--json", "--rate", "20/s"])
        .start();
    eventually("some replayed", BOUND, async || {
        (stage.invoices("pending").await >= 3).then_some(())
    })
    .await;
    process.kill();
    drop(process);
    assert!(
        stage.invoices("dead").await > 0,
        "it was killed too late to tell"
    );
    // What it held comes back once the broker has noticed.
    let left = stage.invoices("dead").await;
    let left = u64::try_from(left).unwrap();
    eventually("the messages back", BOUND, async || {
        (stage.broker.depth(Target::Dead).await.ok()? >= left).then_some(())
    })
    .await;
    let told = stage.run_once_free().await.ended(0);
    let [matched, replayed, skipped, failed] = told.tally("replayed");
    assert_eq!((replayed, failed), (left, 0));
    assert_eq!(matched, replayed + skipped);
    assert_eq!(
        (
            stage.invoices("pending").await,
            stage.invoices("dead").await
        ),
        (12, 0)
    );
    let twice = "SELECT count(*) FROM (SELECT subject_id FROM transitions WHERE from_state = 'dead'
        GROUP BY subject_id HAVING count(*) > 1) more";
    assert_eq!(stage.number(twice).await, 0);
    stage.depth_becomes(Target::Dead, 0).await;
}

#[tokio::test]
async fn a_signal_stops_it_between_two_items() {
    let stage = Stage::new().await;
    for _ in 0..3 {
        stage.refused("891").await;
    }
    let mut process = stage
        .program(&["run", "--yes", "--json", "--rate", "1/h"])
        .start();
    eventually("one replayed", BOUND, async || {
        (stage.invoices("pending").await == 1).then_some(())
    })
    .await;
    process.terminate();
    assert_eq!(
        process.exit(BOUND).await.code(),
        Some(0),
        "{}",
        process.log()
    );
    assert_eq!(stage.invoices("dead").await, 2);
    stage.depth_becomes(Target::Dead, 2).await;
    assert_eq!(
        stage
            .number("SELECT done FROM operator_actions WHERE ended_at IS NOT NULL")
            .await,
        1
    );
}

#[tokio::test]
async fn a_second_run_at_the_same_time_exits_3() {
    let stage = Stage::new().await;
    stage.refused("891").await;
    stage.refused("891").await;
    let first = stage.program(&["run", "--yes", "--rate", "1/h"]).start();
    eventually("the first at work", BOUND, async || {
        (stage.invoices("pending").await == 1).then_some(())
    })
    .await;
    let told = stage.replay(&["run", "--yes", "--json"]).await.ended(3);
    assert!(told.out.is_empty(), "{}", told.out);
    assert_eq!(stage.invoices("dead").await, 1);
    first.kill();
}

#[tokio::test]
async fn a_run_that_loses_its_lock_stops() {
    let stage = Stage::new().await;
    stage.refused("891").await;
    stage.refused("891").await;
    let mut process = stage.program(&["run", "--yes", "--rate", "1/h"]).start();
    eventually("the first at work", BOUND, async || {
        (stage.invoices("pending").await == 1).then_some(())
    })
    .await;
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory' AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    assert_eq!(stage.number(cut).await, 1);
    assert_eq!(
        process.exit(BOUND).await.code(),
        Some(1),
        "{}",
        process.log()
    );
    assert!(process.log().contains("lock was lost"), "{}", process.log());
    assert_eq!(stage.invoices("dead").await, 1);
}

#[tokio::test]
async fn a_run_that_loses_the_broker_says_so_and_can_be_run_again() {
    let stage = Stage::new().await;
    for _ in 0..20 {
        stage.refused("891").await;
    }
    let link = Link::to(&amqp_url()).await;
    let program = stage
        .program(&["run", "--yes", "--json", "--rate", "20/s"])
        .env("AMQP_URL", link.url());
    let mut process = program.start();
    eventually("some replayed", BOUND, async || {
        (stage.invoices("pending").await >= 3).then_some(())
    })
    .await;
    link.cut();
    assert_eq!(
        process.exit(BOUND).await.code(),
        Some(1),
        "{}",
        process.log()
    );
    assert!(
        stage.invoices("dead").await > 0,
        "it was cut off too late to tell"
    );
    assert_eq!(
        stage
            .number("SELECT count(*) FROM operator_actions WHERE ended_at IS NOT NULL")
            .await,
        1
    );
    let left = u64::try_from(stage.invoices("dead").await).unwrap();
    eventually("the messages back", BOUND, async || {
        (stage.broker.depth(Target::Dead).await.ok()? >= left).then_some(())
    })
    .await;
    let told = stage.run_once_free().await.ended(0);
    assert_eq!(told.tally("replayed")[1], left);
    assert_eq!(stage.invoices("pending").await, 20);
}

#[tokio::test]
async fn bytes_set_aside_again_while_they_are_replayed_stay_on_the_pile() {
    let stage = Stage::new().await;
    let id = stage.unreadable("{").await;
    let filter = DeadLetterFilter::default();
    let by = OperatorAction {
        operator: "jane".to_owned(),
        reason: "test".to_owned(),
    };
    let run = stage.ledger.begin_run("run", &by, &filter).await.unwrap();
    let item = stage
        .ledger
        .run_item(id, &filter, &run)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(item.status, RunStatus::Selected);
    assert_eq!(
        stage.unreadable("{").await,
        id,
        "the ledger worker met them once more"
    );
    assert_eq!(
        stage.ledger.message_replayed(&item, &by).await.unwrap(),
        MoveOutcome::Overtaken
    );
    assert_eq!(
        stage
            .number("SELECT count(*) FROM dead_letters WHERE solved_at IS NULL")
            .await,
        1
    );

    let item = stage
        .ledger
        .run_item(id, &filter, &run)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        stage.ledger.message_replayed(&item, &by).await.unwrap(),
        MoveOutcome::Solved(None)
    );
}

#[tokio::test]
async fn what_dies_again_during_a_run_is_the_next_runs() {
    let stage = Stage::new().await;
    let filter = DeadLetterFilter::default();
    let by = OperatorAction {
        operator: "jane".to_owned(),
        reason: "test".to_owned(),
    };
    let run = stage.ledger.begin_run("run", &by, &filter).await.unwrap();
    let invoice = stage.refused_row("891").await;
    let item = stage
        .ledger
        .run_item(invoice, &filter, &run)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(item.status, RunStatus::NotSelected);
    assert!(
        stage
            .ledger
            .next_run_item(None, &filter, &run)
            .await
            .unwrap()
            .is_none()
    );
    let next = stage.ledger.begin_run("run", &by, &filter).await.unwrap();
    assert!(
        stage
            .ledger
            .next_run_item(None, &filter, &next)
            .await
            .unwrap()
            .is_some()
    );
}
