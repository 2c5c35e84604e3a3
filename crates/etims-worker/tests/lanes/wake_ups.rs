//! Wake-ups are hints (protocol D3), and a worker ends in good order (protocol D17).

use std::collections::BTreeMap;
use std::time::Duration;

use risiti_queue::{Broker, Message, Target, Topology};
use risiti_testkit::{amqp_url, eventually, http_status};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::fixture::{BOUND, Fault, Fixture, sale_calls, terminate};

#[tokio::test]
async fn repeated_wake_ups_make_one_call_at_a_time_per_lane() {
    let fixture = Fixture::with("legacy", &["--latency", "20ms"]).await;
    let devices = fixture.add_devices(0..3).await;
    fixture.add_sales_to_all(&devices, 25).await;
    let workers = [fixture.worker().start(), fixture.worker().start()];
    let topology = Topology::new(fixture.namespace.name()).unwrap();
    let broker = Broker::start(&amqp_url(), topology, "test", CancellationToken::new()).unwrap();
    broker.wait_up().await;
    for _ in 0..20 {
        let nonsense = Message {
            id: Uuid::now_v7(),
            headers: BTreeMap::new(),
            body: "\"nonsense\"".into(),
        };
        let wake_ups = devices.iter().map(|device| Message::wake_up(device.id));
        for message in wake_ups.chain([nonsense]) {
            broker
                .publisher()
                .publish(Target::Lanes, message, Duration::from_secs(5))
                .await
                .unwrap();
        }
    }
    fixture.until_filed(75).await;
    let stats = fixture.simulator.stats().await;
    for (device, calls) in stats["in_flight_max_per_device"].as_object().unwrap() {
        assert_eq!(calls, 1, "{device}");
    }
    fixture.assert_ledger_matches_kra().await;
    for worker in workers {
        terminate(worker).await;
    }
}

/// It is over sooner if they take 5 s, so that none of ten thousand lanes waits long (protocol D4).
#[tokio::test]
async fn a_turn_is_over_after_twenty_invoices() {
    let fixture = Fixture::new().await;
    let devices = fixture.add_devices(0..3).await;
    fixture.add_sales_to_all(&devices, 65).await;
    // Two places for three lanes.
    let worker = fixture.worker().env("RISITI_CONCURRENCY", "1").start();
    fixture.until_filed(3 * 65).await;
    let longest = fixture
        .count(
            "SELECT max(sends) FROM (
                 SELECT count(*) AS sends FROM submissions
                 WHERE sent_at < (SELECT min(last) FROM (SELECT max(sent_at) AS last FROM submissions GROUP BY device_id) ends)
                 GROUP BY claim_id
             ) turns",
        )
        .await;
    // For a moment between two turns a place is free, and another turn may go on.
    assert!((15..=30).contains(&longest), "{longest}");
    fixture.assert_ledger_matches_kra().await;
    terminate(worker).await;
}

#[tokio::test]
async fn a_turn_that_keeps_nobody_waiting_is_five_times_as_long() {
    let fixture = Fixture::new().await;
    let device = fixture.add_device(1).await;
    fixture.add_sales(&device, 130).await;
    let worker = fixture.worker().start();
    fixture.until_filed(130).await;
    let turns = "FROM (SELECT count(*) AS sends FROM submissions GROUP BY claim_id) turns";
    let longest = fixture.count(&format!("SELECT max(sends) {turns}")).await;
    assert!((21..=100).contains(&longest), "{longest}");
    fixture.assert_ledger_matches_kra().await;
    terminate(worker).await;
}

/// Whatever is in the queue of wake-ups is dropped or has no effect, and delays nothing.
#[tokio::test]
async fn messages_that_are_no_wake_ups_are_dropped() {
    let fixture = Fixture::new().await;
    let device = fixture.add_device(1).await;
    fixture.add_sales(&device, 3).await;
    fixture.sql("UPDATE lanes SET token_at = now()").await;
    let topology = Topology::new(fixture.namespace.name()).unwrap();
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
        fixture
            .namespace
            .publish_strange("lanes", body.as_bytes(), 70_000)
            .await;
    }
    fixture
        .namespace
        .publish_strange("lanes", &[0xff; 1_000], 0)
        .await;
    fixture
        .namespace
        .publish_strange("lanes", &Message::wake_up(device.id).body, 0)
        .await;
    let mut worker = fixture.worker().start();
    fixture.until_filed(3).await;
    eventually("the queue of wake-ups is empty", BOUND, async || {
        (broker.depth(Target::Lanes).await.ok()? == 0).then_some(())
    })
    .await;
    assert!(worker.try_exit().is_none(), "{}", worker.log());
    let log = terminate(worker).await;
    assert!(!log.contains("panicked"), "{log}");
}

#[tokio::test]
async fn a_lost_wake_up_is_replaced() {
    let fixture = Fixture::new().await;
    let device = fixture.add_device(1).await;
    fixture.add_sales(&device, 1).await;
    fixture.sql("UPDATE lanes SET token_at = now()").await;
    let worker = fixture.worker().start();
    fixture.until_filed(1).await;
    terminate(worker).await;
}

#[tokio::test]
async fn at_shutdown_a_call_ends_or_is_looked_up_later() {
    let fixture = Fixture::new().await;
    let device = fixture.add_device(1).await;
    fixture
        .simulator
        .fail(sale_calls().first(1), Fault::Slow { ms: 800 })
        .await;
    let sales = fixture.add_sales(&device, 2).await;
    let mut worker = fixture.worker().start();
    fixture.until_state(sales[0], "submitting").await;
    worker.terminate();
    assert!(worker.exit(BOUND).await.success(), "{}", worker.log());
    assert_eq!(fixture.invoice_state(sales[0]).await, "success");
    assert_eq!(
        fixture.invoice_state(sales[1]).await,
        "pending",
        "it took more work after the signal"
    );

    fixture
        .simulator
        .fail(sale_calls().first(1), Fault::Slow { ms: 60_000 })
        .await;
    let mut worker = fixture
        .worker()
        .env("RISITI_GRACE", "300ms")
        .env("RISITI_ETIMS_TIMEOUT", "50s")
        .start();
    fixture.until_state(sales[1], "submitting").await;
    worker.terminate();
    assert!(worker.exit(BOUND).await.success(), "{}", worker.log());
    assert_eq!(fixture.invoice_state(sales[1]).await, "submitting");
    assert_eq!(
        fixture.count("SELECT count(*) FROM lane_leases").await,
        0,
        "the lease was not given back"
    );

    let worker = fixture.worker().start();
    fixture.until_state(sales[1], "success").await;
    fixture.assert_ledger_matches_kra().await;
    terminate(worker).await;
}

#[tokio::test]
async fn a_ready_worker_exports_the_metrics_of_the_contract() {
    let fixture = Fixture::new().await;
    let mut worker = fixture.worker().start();
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
    terminate(worker).await;
}

#[tokio::test]
async fn a_bad_setting_or_a_wrong_key_exits_with_2() {
    let fixture = Fixture::new().await;
    fixture.add_device(1).await;
    fixture.plant_canary().await;
    for (name, value) in [
        ("RISITI_CONCURRENCY", "0"),
        ("RISITI_ETIMS_TIMEOUT", "10m"),
        ("RISITI_STRIKES_MAX", "none"),
        (
            "RISITI_CREDENTIALS_KEY",
            "CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=",
        ),
    ] {
        let output = fixture.worker().env(name, value).output().await;
        let log = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{name}: {log}");
        assert!(log.contains(name), "{log}");
    }
}
