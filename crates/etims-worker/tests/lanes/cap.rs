//! The cap over all workers, also while they come and go (protocol D5).

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
