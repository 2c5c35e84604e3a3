//! Workers that die or freeze during a call. One sale never gets two numbers (architecture §9).

use risiti_testkit::eventually;

use crate::fixture::{BOUND, Fault, Fixture, sale_calls, terminate};

#[tokio::test]
async fn a_number_unknown_at_a_kill_is_settled_by_the_next_worker() {
    let fixture = Fixture::new().await;
    let device = fixture.add_device(1).await;
    fixture
        .simulator
        .fail(sale_calls().first(1), Fault::Slow { ms: 60_000 })
        .await;
    let sales = fixture.add_sales(&device, 3).await;
    let mut dying = fixture.worker().start();
    let is_accepted =
        async || (fixture.simulator.stats().await["sales_accepted"] == 1).then_some(());
    eventually("KRA has accepted it", BOUND, is_accepted).await;
    dying.kill();
    dying.exit(BOUND).await;
    assert_eq!(fixture.invoice_state(sales[0]).await, "submitting");
    let worker = fixture.worker().start();
    fixture.until_filed(3).await;
    assert_eq!(
        fixture
            .text("SELECT outcome FROM submissions WHERE invoice_no = 1")
            .await,
        ""
    );
    fixture.assert_ledger_matches_kra().await;
    terminate(worker).await;
}

#[tokio::test]
async fn a_worker_frozen_past_its_lease_writes_nothing() {
    let fixture = Fixture::with("legacy", &["--latency", "30ms"]).await;
    let devices = fixture.add_devices(0..4).await;
    fixture.add_sales_to_all(&devices, 30).await;
    let frozen = fixture.worker().start();
    fixture.until_filed_at_least(10).await;
    frozen.freeze();
    let before = fixture.count_in_state("success").await;
    let worker = fixture.worker().start();
    fixture.until_filed_at_least(before + 20).await;
    frozen.thaw();
    fixture.until_filed(120).await;
    let stats = fixture.simulator.stats().await;
    for (device, calls) in stats["in_flight_max_per_device"].as_object().unwrap() {
        assert!(calls.as_u64().unwrap() <= 2, "{device}: {calls}");
    }
    fixture.assert_ledger_matches_kra().await;
    terminate(frozen).await;
    terminate(worker).await;
}
