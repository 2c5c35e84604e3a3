//! The cap over all workers, also while they come and go (protocol D5).

use std::time::Duration;

use risiti_testkit::{Link, amqp_url, eventually};
use serde_json::Value;

use crate::fixture::{BOUND, Fixture, terminate};

#[tokio::test]
async fn workers_together_never_exceed_fifty_calls_at_once() {
    let fixture = Fixture::with("legacy", &["--latency", "400ms"]).await;
    let devices = fixture.add_devices(0..200).await;
    fixture.add_sales_to_all(&devices, 5).await;
    let first = fixture.worker().start();
    fixture.until_filed_at_least(100).await;
    let mut second = fixture.worker().start();
    let third = fixture.worker().start();
    fixture.until_filed_at_least(300).await;
    second.kill();
    second.exit(BOUND).await;
    let fourth = fixture.worker().start();
    fixture.until_filed_at_least(550).await;
    terminate(first).await;
    fixture.until_filed_at_least(1_000).await;
    let stats = fixture.simulator.stats().await;
    let most = stats["in_flight_max"].as_u64().unwrap();
    assert!((30..=50).contains(&most), "{most} calls at once");
    fixture.assert_ledger_matches_kra().await;
    terminate(third).await;
    terminate(fourth).await;
}

/// The third worker hears of no lane, as where the others have all of them in hand.
#[tokio::test]
async fn a_worker_without_lanes_lends_its_share() {
    let fixture = Fixture::with("legacy", &["--latency", "400ms"]).await;
    let devices = fixture.add_devices(0..60).await;
    let broker = Link::to(&amqp_url()).await;
    broker.cut();
    let idle = fixture.worker().env("AMQP_URL", broker.url()).start();
    let workers = "SELECT count(DISTINCT process_id) FROM etims_processes WHERE share > 0";
    fixture
        .until_count("the idle worker has a share", workers, 1)
        .await;
    let busy = [fixture.worker().start(), fixture.worker().start()];
    fixture.until_count("all have a share", workers, 3).await;

    fixture.add_sales_to_all(&devices, 20).await;
    let most = async || fixture.simulator.stats().await["in_flight_max"].as_u64();
    eventually("nearly the whole cap is in use", BOUND, async || {
        (most().await? >= 48).then_some(())
    })
    .await;
    fixture.until_filed(1_200).await;
    assert!(most().await <= Some(50), "{:?} calls at once", most().await);
    assert_eq!(fixture.count(workers).await, 3, "nobody lost its last call");
    for worker in busy.into_iter().chain([idle]) {
        terminate(worker).await;
    }
}

/// A worker that ends before its calls do.
enum End {
    CutOff,
    Frozen,
    Killed,
}

#[tokio::test]
async fn a_worker_cut_off_keeps_its_calls_under_the_cap() {
    assert_calls_stay_under_the_cap(End::CutOff).await;
}

#[tokio::test]
async fn a_frozen_worker_keeps_its_calls_under_the_cap() {
    assert_calls_stay_under_the_cap(End::Frozen).await;
}

#[tokio::test]
async fn a_killed_worker_keeps_its_calls_under_the_cap() {
    assert_calls_stay_under_the_cap(End::Killed).await;
}

/// Calls last longer than a heartbeat counts, and KRA goes on with those of a worker that is gone.
/// The worker that comes next may call only as far as the cap allows.
async fn assert_calls_stay_under_the_cap(end: End) {
    let slow = slow_call();
    let latency = format!("{}ms", slow.as_millis());
    let timeout = format!("{}ms", (slow + Duration::from_secs(5)).as_millis());
    let fixture = Fixture::with("legacy", &["--latency", &latency]).await;
    let devices = fixture.add_devices(0..16).await;
    let link = Link::to(fixture.database.url()).await;
    let worker = || {
        fixture
            .worker()
            .env("RISITI_CONCURRENCY", "4")
            .env("RISITI_ETIMS_TIMEOUT", &timeout)
            .env("RISITI_GRACE", "100ms")
    };
    let first = worker().env("DATABASE_URL", link.url()).start();
    fixture.add_sales_to_all(&devices, 1).await;
    let stats = async || fixture.simulator.stats().await;
    eventually("the calls are under way", BOUND, async || {
        (stats().await["in_flight"] == 4).then_some(())
    })
    .await;

    match end {
        End::CutOff => link.cut(),
        End::Frozen => first.freeze(),
        End::Killed => first.kill(),
    }
    let second = worker().start();
    let made = async || -> Option<u64> {
        let calls = stats().await["calls"].clone();
        calls.as_object()?.values().map(Value::as_u64).sum()
    };
    let wait = 4 * slow + BOUND;
    eventually("the second worker calls", wait, async || {
        (made().await? > 4).then_some(())
    })
    .await;
    if matches!(end, End::Frozen) {
        first.thaw();
    }
    eventually("as many calls again", wait, async || {
        (stats().await["in_flight"] == 4).then_some(())
    })
    .await;
    assert_eq!(stats().await["in_flight_max"], 4, "calls at once");
    drop((first, second));
}

/// How long a slow call lasts: longer than a heartbeat counts. `RISITI_TEST_SLOW_CALL` sets other
/// seconds, such as the 30 that KRA was seen to take.
fn slow_call() -> Duration {
    let seconds = std::env::var("RISITI_TEST_SLOW_CALL").map_or(12, |text| {
        text.parse()
            .expect("RISITI_TEST_SLOW_CALL is a number of seconds")
    });
    Duration::from_secs(seconds)
}
