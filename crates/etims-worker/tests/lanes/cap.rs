//! The cap over all workers, also while they come and go (protocol D5).

use std::time::Duration;

use risiti_testkit::{Link, eventually};

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

/// Calls last longer than a heartbeat counts. The worker that made them is cut off from its
/// database, and another one comes.
#[tokio::test]
async fn a_worker_cut_off_keeps_its_calls_under_the_cap() {
    let fixture = Fixture::with("legacy", &["--latency", "30s"]).await;
    let devices = fixture.add_devices(0..16).await;
    fixture.add_sales_to_all(&devices, 1).await;
    let link = Link::to(fixture.database.url()).await;
    let worker = || {
        fixture
            .worker()
            .env("RISITI_CONCURRENCY", "4")
            .env("RISITI_ETIMS_TIMEOUT", "35s")
            .env("RISITI_GRACE", "100ms")
    };
    let cut_off = worker().env("DATABASE_URL", link.url()).start();
    until_in_flight(&fixture, 4).await;
    link.cut();
    let second = worker().start();
    let made = async || fixture.simulator.stats().await["calls"]["sale"].as_u64();
    eventually(
        "the second worker calls",
        Duration::from_secs(120),
        async || (made().await? > 4).then_some(()),
    )
    .await;
    let most = fixture.simulator.stats().await["in_flight_max"].as_u64();
    assert_eq!(most, Some(4), "calls at once");
    drop((cut_off, second));
}

async fn until_in_flight(fixture: &Fixture, calls: u64) {
    eventually("the calls are under way", BOUND, async || {
        (fixture.simulator.stats().await["in_flight"] == calls).then_some(())
    })
    .await;
}
