//! Runs that are killed, stopped, started twice or cut off. The dead letters end up the same
//! (protocol E5).

use risiti_ledger::{DeadLetterFilter, MoveOutcome, OperatorAction, RunStatus};
use risiti_queue::Target;
use risiti_testkit::{Link, amqp_url, eventually};

use crate::fixture::{Fixture, WAIT_MAX};

#[tokio::test]
async fn killed_run_and_its_repetition_replay_everything_once() {
    let fixture = Fixture::new().await;
    for _ in 0..12 {
        fixture.refused_sale("891").await;
    }
    let process = fixture
        .program(&["run", "--yes", "--json", "--rate", "20/s"])
        .start();
    eventually("some replayed", WAIT_MAX, async || {
        (fixture.count_invoices("pending").await >= 3).then_some(())
    })
    .await;
    process.kill();
    drop(process);
    assert!(
        fixture.count_invoices("dead").await > 0,
        "it was killed after its last dead letter"
    );
    // The messages that it held come back once the broker has noticed.
    let left = fixture.count_invoices("dead").await;
    let left = u64::try_from(left).unwrap();
    eventually("the messages back", WAIT_MAX, async || {
        (fixture.broker.depth(Target::Dead).await.ok()? >= left).then_some(())
    })
    .await;
    let output = fixture.run_when_unlocked().await.expect_code(0);
    let [matched, replayed, skipped, failed] = output.counts("replayed");
    assert_eq!((replayed, failed), (left, 0));
    assert_eq!(matched, replayed + skipped);
    assert_eq!(
        (
            fixture.count_invoices("pending").await,
            fixture.count_invoices("dead").await
        ),
        (12, 0)
    );
    let twice = "SELECT count(*) FROM (SELECT subject_id FROM transitions WHERE from_state = 'dead'
        GROUP BY subject_id HAVING count(*) > 1) more";
    assert_eq!(fixture.query_number(twice).await, 0);
    fixture.wait_for_depth(Target::Dead, 0).await;
}

#[tokio::test]
async fn killed_run_of_named_dead_letters_doubles_nothing() {
    let fixture = Fixture::new().await;
    let mut args = ["run", "--yes", "--json", "--rate", "20/s"]
        .map(str::to_owned)
        .to_vec();
    for _ in 0..12 {
        args.push("--id".to_owned());
        args.push(fixture.refused_sale("891").await.to_string());
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let process = fixture.program(&args).start();
    eventually("some replayed", WAIT_MAX, async || {
        (fixture.count_invoices("pending").await >= 3).then_some(())
    })
    .await;
    process.kill();
    drop(process);
    let left = u64::try_from(fixture.count_invoices("dead").await).unwrap();
    assert!(left > 0, "it was killed after its last dead letter");

    let output = fixture.run_when_unlocked().await.expect_code(0);
    assert_eq!(output.counts("replayed"), [12, left, 12 - left, 0]);
    assert_eq!(fixture.count_invoices("pending").await, 12);
    let moves = "SELECT count(*) FROM transitions WHERE from_state = 'dead'";
    assert_eq!(fixture.query_number(moves).await, 12);
    fixture.wait_for_depth(Target::Dead, 0).await;
}

#[tokio::test]
async fn signal_stops_a_run_between_two_dead_letters() {
    let fixture = Fixture::new().await;
    for _ in 0..3 {
        fixture.refused_sale("891").await;
    }
    let mut process = fixture
        .program(&["run", "--yes", "--json", "--rate", "1/h"])
        .start();
    eventually("one replayed", WAIT_MAX, async || {
        (fixture.count_invoices("pending").await == 1).then_some(())
    })
    .await;
    process.terminate();
    assert_eq!(
        process.exit(WAIT_MAX).await.code(),
        Some(0),
        "{}",
        process.log()
    );
    assert_eq!(fixture.count_invoices("dead").await, 2);
    fixture.wait_for_depth(Target::Dead, 2).await;
    assert_eq!(
        fixture
            .query_number("SELECT done FROM operator_actions WHERE ended_at IS NOT NULL")
            .await,
        1
    );
}

#[tokio::test]
async fn second_run_at_the_same_time_exits_3() {
    let fixture = Fixture::new().await;
    fixture.refused_sale("891").await;
    fixture.refused_sale("891").await;
    let first = fixture.program(&["run", "--yes", "--rate", "1/h"]).start();
    eventually("the first at work", WAIT_MAX, async || {
        (fixture.count_invoices("pending").await == 1).then_some(())
    })
    .await;
    let output = fixture
        .replay(&["run", "--yes", "--json"])
        .await
        .expect_code(3);
    assert!(output.stdout.is_empty(), "{}", output.stdout);
    assert_eq!(fixture.count_invoices("dead").await, 1);
    first.kill();
}

#[tokio::test]
async fn run_that_loses_its_lock_stops() {
    let fixture = Fixture::new().await;
    fixture.refused_sale("891").await;
    fixture.refused_sale("891").await;
    let mut process = fixture.program(&["run", "--yes", "--rate", "1/h"]).start();
    eventually("the first at work", WAIT_MAX, async || {
        (fixture.count_invoices("pending").await == 1).then_some(())
    })
    .await;
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory' AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    assert_eq!(fixture.query_number(cut).await, 1);
    assert_eq!(
        process.exit(WAIT_MAX).await.code(),
        Some(1),
        "{}",
        process.log()
    );
    assert!(process.log().contains("lock was lost"), "{}", process.log());
    assert_eq!(fixture.count_invoices("dead").await, 1);
}

#[tokio::test]
async fn run_that_loses_the_broker_fails_and_can_be_repeated() {
    let fixture = Fixture::new().await;
    for _ in 0..20 {
        fixture.refused_sale("891").await;
    }
    let link = Link::to(&amqp_url()).await;
    let program = fixture
        .program(&["run", "--yes", "--json", "--rate", "20/s"])
        .env("AMQP_URL", link.url());
    let mut process = program.start();
    eventually("some replayed", WAIT_MAX, async || {
        (fixture.count_invoices("pending").await >= 3).then_some(())
    })
    .await;
    link.cut();
    assert_eq!(
        process.exit(WAIT_MAX).await.code(),
        Some(1),
        "{}",
        process.log()
    );
    assert!(
        fixture.count_invoices("dead").await > 0,
        "it was cut off after its last dead letter"
    );
    assert_eq!(
        fixture
            .query_number("SELECT count(*) FROM operator_actions WHERE ended_at IS NOT NULL")
            .await,
        1
    );
    let left = u64::try_from(fixture.count_invoices("dead").await).unwrap();
    eventually("the messages back", WAIT_MAX, async || {
        (fixture.broker.depth(Target::Dead).await.ok()? >= left).then_some(())
    })
    .await;
    let output = fixture.run_when_unlocked().await.expect_code(0);
    assert_eq!(output.counts("replayed")[1], left);
    assert_eq!(fixture.count_invoices("pending").await, 20);
}

#[tokio::test]
async fn message_set_aside_again_during_its_replay_stays_dead() {
    let fixture = Fixture::new().await;
    let id = fixture.unreadable_webhook("{").await;
    let filter = DeadLetterFilter::default();
    let by = OperatorAction {
        operator: "jane".to_owned(),
        reason: "test".to_owned(),
    };
    let run = fixture
        .ledger
        .begin_run("run", &by, &filter, None)
        .await
        .unwrap();
    let item = fixture
        .ledger
        .run_item(id, &filter, &run)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(item.status, RunStatus::Selected);
    assert_eq!(
        fixture.unreadable_webhook("{").await,
        id,
        "the ledger worker set the same bytes aside again"
    );
    assert_eq!(
        fixture.ledger.message_replayed(&item, &by).await.unwrap(),
        MoveOutcome::Overtaken
    );
    assert_eq!(
        fixture
            .query_number("SELECT count(*) FROM dead_letters WHERE solved_at IS NULL")
            .await,
        1
    );

    let item = fixture
        .ledger
        .run_item(id, &filter, &run)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        fixture.ledger.message_replayed(&item, &by).await.unwrap(),
        MoveOutcome::Solved(None)
    );
}

#[tokio::test]
async fn dead_letter_made_during_a_run_is_left_to_the_next() {
    let fixture = Fixture::new().await;
    let filter = DeadLetterFilter::default();
    let by = OperatorAction {
        operator: "jane".to_owned(),
        reason: "test".to_owned(),
    };
    let run = fixture
        .ledger
        .begin_run("run", &by, &filter, None)
        .await
        .unwrap();
    let invoice = fixture.refused_sale_without_message("891").await;
    let item = fixture
        .ledger
        .run_item(invoice, &filter, &run)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(item.status, RunStatus::NotSelected);
    assert!(
        fixture
            .ledger
            .next_run_item(None, &filter, &run)
            .await
            .unwrap()
            .is_none()
    );
    let next = fixture
        .ledger
        .begin_run("run", &by, &filter, None)
        .await
        .unwrap();
    assert!(
        fixture
            .ledger
            .next_run_item(None, &filter, &next)
            .await
            .unwrap()
            .is_some()
    );
}
