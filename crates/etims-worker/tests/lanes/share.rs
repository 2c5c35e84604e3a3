//! What a worker holds follows its share of the calls, and one host takes nothing from another
//! (protocol D5).

use std::collections::BTreeMap;

use risiti_queue::{Broker, Target, Topology};
use risiti_testkit::{amqp_url, eventually};
use tokio_util::sync::CancellationToken;

use crate::fixture::{BOUND, Fixture, terminate};

/// The number of lanes that each worker has claimed.
async fn claimed(fixture: &Fixture) -> BTreeMap<String, i64> {
    let client = fixture.database.connect().await;
    let rows = client
        .query(
            "SELECT worker_id::text, count(*) FROM lane_leases WHERE lease_until > now() GROUP BY 1",
            &[],
        )
        .await
        .unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test]
async fn lanes_and_wake_ups_in_hand_follow_the_share() {
    let fixture = Fixture::with("legacy", &["--latency", "400ms"]).await;
    let devices = fixture.add_devices(0..40).await;
    fixture.add_sales_to_all(&devices, 60).await;
    let topology = Topology::new(fixture.namespace.name()).unwrap();
    let broker = Broker::start(&amqp_url(), topology, "test", CancellationToken::new()).unwrap();
    broker.wait_up().await;
    let worker = || fixture.worker().env("RISITI_CONCURRENCY", "10").start();

    // Twice as many as the share are worked, and one wake-up is held for each.
    let mut workers = vec![worker()];
    until_claimed(&fixture, &[20]).await;
    for lanes in [&[10, 10][..], &[6, 6, 8]] {
        workers.push(worker());
        until_claimed(&fixture, lanes).await;
    }
    eventually("the other wake-ups wait in the queue", BOUND, async || {
        (broker.depth(Target::Lanes).await.ok()? >= 40 - 20).then_some(())
    })
    .await;

    terminate(workers.remove(0)).await;
    until_claimed(&fixture, &[10, 10]).await;
    workers.remove(0).kill();
    until_claimed(&fixture, &[20]).await;
    let stats = fixture.simulator.stats().await;
    assert!(stats["in_flight_max"].as_u64() <= Some(10), "{stats}");
    terminate(workers.remove(0)).await;
}

/// Waits until so many workers have claimed so many lanes, the fewest first.
async fn until_claimed(fixture: &Fixture, lanes: &[i64]) {
    let mut last = Vec::new();
    let what = format!("{lanes:?} lanes are claimed");
    eventually(&what, BOUND, async || {
        last = claimed(fixture).await.into_values().collect();
        last.sort_unstable();
        (last == lanes).then_some(())
    })
    .await;
}

/// The slow host answers nothing while this test runs, and has more lanes than all workers hold.
#[tokio::test]
async fn a_slow_host_takes_no_turns_from_another() {
    let fixture = Fixture::new().await;
    let slow = fixture.another_simulator(&["--latency", "600s"]).await;
    let slow_devices = fixture.add_devices_at(&slow, 0..150).await;
    let fast_devices = fixture.add_devices(200..205).await;
    fixture.add_sales_to_all(&slow_devices, 2).await;
    let workers: Vec<_> = (0..2)
        .map(|_| {
            fixture
                .worker()
                .env("RISITI_CONCURRENCY", "10")
                .env("RISITI_ETIMS_TIMEOUT", "4m")
                .env("RISITI_GRACE", "100ms")
                .start()
        })
        .collect();
    let waiting = "SELECT count(*) FROM invoices WHERE state = 'submitting'";
    eventually("the slow host has all its calls", BOUND, async || {
        (fixture.count(waiting).await == 10).then_some(())
    })
    .await;

    // Five turns of each lane, one after the other.
    fixture.add_sales_to_all(&fast_devices, 100).await;
    fixture.until_filed(500).await;
    assert_eq!(
        fixture.count(waiting).await,
        10,
        "the calls of the slow host are still under way"
    );
    for worker in workers {
        terminate(worker).await;
    }
}
