//! Workers that die or freeze while a call is out: never two numbers for one sale (architecture §9).

use risiti_testkit::eventually;
use serde_json::json;

use crate::stage::{BOUND, Stage, end};

#[tokio::test]
async fn a_worker_killed_while_submitting_leaves_the_question_to_the_next() {
    let stage = Stage::new().await;
    let device = stage.device(1).await;
    stage
        .fault(
            json!({ "call": "sale", "count": 1 }),
            json!({ "slow": { "ms": 60_000 } }),
        )
        .await;
    let sales = stage.owe(&device, 3).await;
    let mut dying = stage.worker().start();
    let accepted = async || (stage.stats().await["sales_accepted"] == 1).then_some(());
    eventually("KRA has it", BOUND, accepted).await;
    dying.kill();
    dying.exit(BOUND).await;
    assert_eq!(stage.state(sales[0]).await, "submitting");
    let worker = stage.worker().start();
    stage.until_filed(3).await;
    assert_eq!(
        stage
            .text("SELECT outcome FROM submissions WHERE invoice_no = 1")
            .await,
        ""
    );
    stage.books_balance().await;
    end(worker).await;
}

#[tokio::test]
async fn a_worker_frozen_past_its_lease_and_thawed_writes_nothing() {
    let stage = Stage::with("legacy", &["--latency", "30ms"]).await;
    let devices = stage.devices(0..4).await;
    stage.owe_all(&devices, 30).await;
    let frozen = stage.worker().start();
    eventually("it files some", BOUND, async || {
        (stage.in_state("success").await >= 10).then_some(())
    })
    .await;
    frozen.freeze();
    let before = stage.in_state("success").await;
    let worker = stage.worker().start();
    let more = async || (stage.in_state("success").await >= before + 20).then_some(());
    eventually("the other one takes the lanes over", BOUND, more).await;
    frozen.thaw();
    stage.until_filed(120).await;
    let stats = stage.stats().await;
    for (device, calls) in stats["in_flight_max_per_device"].as_object().unwrap() {
        assert!(calls.as_u64().unwrap() <= 2, "{device}: {calls}");
    }
    stage.books_balance().await;
    end(frozen).await;
    end(worker).await;
}
