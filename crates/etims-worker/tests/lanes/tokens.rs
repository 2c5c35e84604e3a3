//! Tokens are hints (protocol D3), and a worker ends politely (protocol D17).

use std::collections::BTreeMap;
use std::time::Duration;

use risiti_queue::{Broker, Message, Target, Topology};
use risiti_testkit::{amqp_url, eventually, http_status};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::stage::{BOUND, Stage, end};

#[tokio::test]
async fn two_workers_and_many_tokens_make_one_call_at_a_time_per_lane() {
    let stage = Stage::with("legacy", &["--latency", "20ms"]).await;
    let devices = stage.devices(0..3).await;
    stage.owe_all(&devices, 25).await;
    let workers = [stage.worker().start(), stage.worker().start()];
    let topology = Topology::new(stage.namespace.name()).unwrap();
    let broker = Broker::start(&amqp_url(), topology, "test", CancellationToken::new()).unwrap();
    broker.wait_up().await;
    for _ in 0..20 {
        for body in devices
            .iter()
            .map(|device| json!({ "device_id": device.id }))
            .chain([json!("nonsense")])
        {
            let message = Message {
                id: Uuid::now_v7(),
                headers: BTreeMap::new(),
                body: body.to_string().into(),
            };
            broker
                .publisher()
                .publish(Target::Lanes, message, Duration::from_secs(5))
                .await
                .unwrap();
        }
    }
    stage.until_filed(75).await;
    let stats = stage.stats().await;
    for (device, calls) in stats["in_flight_max_per_device"].as_object().unwrap() {
        assert_eq!(calls, 1, "{device}");
    }
    stage.books_balance().await;
    for worker in workers {
        end(worker).await;
    }
}

/// Sooner where they take 5 s, so that none of ten thousand lanes waits long for the others (protocol D4).
#[tokio::test]
async fn a_turn_is_over_after_twenty_invoices() {
    let stage = Stage::new().await;
    let device = stage.device(1).await;
    stage.owe(&device, 65).await;
    let worker = stage.worker().start();
    stage.until_filed(65).await;
    let turns = "FROM (SELECT count(*) AS sends FROM submissions GROUP BY claim_id) turns";
    assert!(stage.count(&format!("SELECT max(sends) {turns}")).await <= 20);
    assert!(stage.count(&format!("SELECT count(*) {turns}")).await >= 4);
    stage.books_balance().await;
    end(worker).await;
}

/// Whatever stands in the queue of tokens is dropped or leads nowhere, and holds up nobody.
#[tokio::test]
async fn tokens_that_are_none_are_dropped() {
    let stage = Stage::new().await;
    let device = stage.device(1).await;
    stage.owe(&device, 3).await;
    stage.sql("UPDATE lanes SET token_at = now()").await;
    let topology = Topology::new(stage.namespace.name()).unwrap();
    let broker = Broker::start(&amqp_url(), topology, "test", CancellationToken::new()).unwrap();
    broker.wait_up().await;
    let deep = "[".repeat(100_000);
    let bodies = [
        "",
        "{",
        "null",
        "[]",
        "\0",
        "{\"device_id\":null}",
        "{\"device_id\":\"\\u0000\"}",
        "{\"device_id\":[[]]}",
        &deep,
        "{\"device_id\":\"00000000-0000-0000-0000-000000000000\"}",
        "{\"device_id\":1e999}",
        "{\"device_id\":\"x\",\"device_id\":7}",
    ];
    for body in bodies {
        stage
            .namespace
            .publish_strange("lanes", body.as_bytes(), 70_000)
            .await;
    }
    stage
        .namespace
        .publish_strange("lanes", &[0xff; 1_000], 0)
        .await;
    stage
        .namespace
        .publish_strange(
            "lanes",
            json!({ "device_id": device.id }).to_string().as_bytes(),
            0,
        )
        .await;
    let mut worker = stage.worker().start();
    stage.until_filed(3).await;
    eventually("the queue of tokens is empty", BOUND, async || {
        (broker.depth(Target::Lanes).await.ok()? == 0).then_some(())
    })
    .await;
    assert!(
        worker.try_exit().is_none() && !worker.log().contains("panicked"),
        "{}",
        worker.log()
    );
    end(worker).await;
}

#[tokio::test]
async fn a_lost_token_is_made_up_for() {
    let stage = Stage::new().await;
    let device = stage.device(1).await;
    stage.owe(&device, 1).await;
    stage.sql("UPDATE lanes SET token_at = now()").await;
    let worker = stage.worker().start();
    stage.until_filed(1).await;
    end(worker).await;
}

#[tokio::test]
async fn a_worker_that_ends_finishes_its_call_or_leaves_it_to_be_looked_up() {
    let stage = Stage::new().await;
    let device = stage.device(1).await;
    stage
        .fault(
            json!({ "call": "sale", "count": 1 }),
            json!({ "slow": { "ms": 800 } }),
        )
        .await;
    let sales = stage.owe(&device, 2).await;
    let mut worker = stage.worker().start();
    stage.until_state(sales[0], "submitting").await;
    worker.terminate();
    assert!(worker.exit(BOUND).await.success(), "{}", worker.log());
    assert_eq!(stage.state(sales[0]).await, "success");
    assert_eq!(
        stage.state(sales[1]).await,
        "pending",
        "it took more work after the signal"
    );

    stage
        .fault(
            json!({ "call": "sale", "count": 1 }),
            json!({ "slow": { "ms": 60_000 } }),
        )
        .await;
    let mut worker = stage
        .worker()
        .env("RISITI_GRACE", "300ms")
        .env("RISITI_ETIMS_TIMEOUT", "50s")
        .start();
    stage.until_state(sales[1], "submitting").await;
    worker.terminate();
    assert!(worker.exit(BOUND).await.success(), "{}", worker.log());
    assert_eq!(stage.state(sales[1]).await, "submitting");
    assert_eq!(
        stage.count("SELECT count(*) FROM lane_leases").await,
        0,
        "the lease was not let go"
    );

    let worker = stage.worker().start();
    stage.until_state(sales[1], "success").await;
    stage.books_balance().await;
    end(worker).await;
}

#[tokio::test]
async fn ready_when_both_servers_are_and_the_metrics_of_the_contract_exist() {
    let stage = Stage::new().await;
    let mut worker = stage.worker().start();
    let ops = worker.address_after("ops listener on ").await;
    eventually("the worker is ready", BOUND, async || {
        (http_status(ops, "/readyz").await? == 200).then_some(())
    })
    .await;
    let client = reqwest::Client::builder().timeout(BOUND).build().unwrap();
    eventually("every metric", BOUND, async || {
        let metrics = client
            .get(format!("http://{ops}/metrics"))
            .send()
            .await
            .ok()?
            .text()
            .await
            .ok()?;
        [
            "risiti_invoices{state=\"pending\"} 0",
            "risiti_oldest_pending_invoice_seconds 0",
            "risiti_lanes{state=\"halted\"} 0",
            "risiti_etims_calls_total{dialect=\"gateway\",outcome=\"unknown\"} 0",
            "risiti_etims_call_seconds_count",
            "risiti_etims_in_flight 0",
            "risiti_dead_letters_total{cause=\"exhausted\"} 0",
        ]
        .iter()
        .all(|series| metrics.contains(series))
        .then_some(())
    })
    .await;
    end(worker).await;
}

#[tokio::test]
async fn a_bad_setting_or_the_wrong_key_ends_it_with_2() {
    let stage = Stage::new().await;
    stage.device(1).await;
    stage.plant_canary().await;
    for (name, value) in [
        ("RISITI_CONCURRENCY", "0"),
        ("RISITI_ETIMS_TIMEOUT", "10m"),
        ("RISITI_STRIKES_MAX", "none"),
        (
            "RISITI_CREDENTIALS_KEY",
            "CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=",
        ),
    ] {
        let output = stage.worker().env(name, value).output().await;
        let log = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{name}: {log}");
        assert!(log.contains(name), "{log}");
    }
}
