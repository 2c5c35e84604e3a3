//! Postgres or RabbitMQ going away, and workers dying again and again (architecture §9, law 4).

use risiti_testkit::{Link, amqp_url, eventually, http_status};
use serde_json::json;

use crate::stage::{BOUND, Stage, end};

#[tokio::test]
async fn a_database_that_loses_every_connection_now_and_then_costs_nothing() {
    let stage = Stage::with("legacy", &["--latency", "20ms"]).await;
    let devices = stage.devices(0..6).await;
    stage
        .fault(
            json!({ "call": "sale", "probability": 0.2, "seed": 1 }),
            json!("accept_then_drop"),
        )
        .await;
    stage.owe_all(&devices, 15).await;
    let worker = stage.worker().start();
    for filed in [5, 20, 40, 60] {
        let some = async || (stage.in_state("success").await >= filed).then_some(());
        eventually("some are filed", BOUND, some).await;
        stage.database.cut_connections().await;
    }
    stage.until_filed(90).await;
    stage.books_balance().await;
    end(worker).await;
}

#[tokio::test]
async fn behind_a_frozen_link_to_the_database_nothing_is_sent() {
    let stage = Stage::new().await;
    let device = stage.device(1).await;
    let link = Link::to(stage.database.url()).await;
    let mut worker = stage.worker().env("DATABASE_URL", link.url()).start();
    let ops = worker.address_after("ops listener on ").await;
    stage.owe(&device, 1).await;
    stage.until_filed(1).await;
    link.freeze();
    eventually("the worker is not ready", BOUND, async || {
        (http_status(ops, "/readyz").await? == 503).then_some(())
    })
    .await;
    stage.owe(&device, 1).await;
    assert_eq!(stage.stats().await["calls"]["sale"], 1);
    // What is on its way in a frozen link arrives when it thaws; as after a real partition, that is too late.
    link.cut();
    link.restore();
    stage.until_filed(2).await;
    stage.books_balance().await;
    end(worker).await;
}

#[tokio::test]
async fn frozen_servers_hold_no_worker_beyond_its_grace() {
    let stage = Stage::new().await;
    let device = stage.device(1).await;
    let (database, broker) = (
        Link::to(stage.database.url()).await,
        Link::to(&amqp_url()).await,
    );
    let worker = stage
        .worker()
        .env("DATABASE_URL", database.url())
        .env("AMQP_URL", broker.url());
    let mut worker = worker.env("RISITI_GRACE", "300ms").start();
    stage
        .fault(
            json!({ "call": "sale", "count": 1 }),
            json!({ "slow": { "ms": 20_000 } }),
        )
        .await;
    let sales = stage.owe(&device, 1).await;
    stage.until_state(sales[0], "submitting").await;
    database.freeze();
    broker.freeze();
    worker.terminate();
    assert!(worker.exit(BOUND).await.success(), "{}", worker.log());

    let worker = stage.worker().start();
    stage.until_filed(1).await;
    stage.books_balance().await;
    end(worker).await;
}

#[tokio::test]
async fn without_a_broker_nobody_dies_and_lanes_come_back_with_it() {
    let stage = Stage::new().await;
    let device = stage.device(1).await;
    let link = Link::to(&amqp_url()).await;
    let mut worker = stage
        .worker()
        .env("AMQP_URL", link.url())
        .env("RISITI_PUBLISH_TIMEOUT", "500ms")
        .start();
    let ops = worker.address_after("ops listener on ").await;
    // Slow enough that the broker is gone before the refusal is there.
    let refused = json!({ "envelope": { "code": "910", "message": "<x>" } });
    stage
        .fault(json!({ "call": "sale", "amount": "116" }), refused)
        .await;
    stage
        .fault(
            json!({ "call": "sale", "count": 1 }),
            json!({ "slow": { "ms": 1500 } }),
        )
        .await;
    let sales = stage.owe(&device, 2).await;
    stage.until_state(sales[0], "submitting").await;
    link.cut();
    let refused = "SELECT count(*) FROM invoices WHERE refused_at IS NOT NULL";
    eventually("the refusal is written", BOUND, async || {
        (stage.count(refused).await == 1).then_some(())
    })
    .await;
    eventually("the worker is not ready", BOUND, async || {
        (http_status(ops, "/readyz").await? == 503).then_some(())
    })
    .await;
    assert_eq!(
        stage.state(sales[0]).await,
        "submitting",
        "dead without its message"
    );
    assert_eq!(stage.count("SELECT count(*) FROM dead_letters").await, 0);
    link.restore();
    stage.until_state(sales[0], "dead").await;
    stage.until_state(sales[1], "success").await;
    assert_eq!(
        stage.stats().await["calls"]["sale"],
        2,
        "a refusal on paper was sent again"
    );
    stage.books_balance().await;
    end(worker).await;
}

#[tokio::test]
async fn workers_killed_again_and_again_lose_nothing_and_double_nothing() {
    let stage = Stage::with("legacy", &["--latency", "40ms"]).await;
    let devices = stage.devices(0..8).await;
    for (seed, fault) in [json!("accept_then_drop"), json!("drop_before_accept")]
        .into_iter()
        .enumerate()
    {
        stage
            .fault(
                json!({ "call": "sale", "probability": 0.1, "seed": seed }),
                fault,
            )
            .await;
    }
    stage.owe_all(&devices, 25).await;
    for kill in 0..4 {
        let mut dying = stage.worker().start();
        let before = stage.in_state("success").await;
        let some = async || (stage.in_state("success").await >= before + 15 + kill).then_some(());
        eventually("some are filed", BOUND, some).await;
        dying.kill();
        dying.exit(BOUND).await;
        // As if the leases of the dead had run out: waiting for that is another test's.
        stage
            .sql("UPDATE lane_leases SET lease_until = now(); DELETE FROM etims_processes")
            .await;
    }
    let worker = stage.worker().start();
    stage.until_filed(200).await;
    stage.books_balance().await;
    end(worker).await;
}
