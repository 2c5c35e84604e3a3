//! The cap over all workers, also while they come and go (protocol D5).

use risiti_testkit::eventually;

use crate::stage::{BOUND, Stage, end};

#[tokio::test]
async fn three_workers_and_two_hundred_devices_never_make_more_than_fifty_calls_at_once() {
    let stage = Stage::with("legacy", &["--latency", "150ms"]).await;
    let devices = stage.devices(0..200).await;
    stage.owe_all(&devices, 5).await;
    let first = stage.worker().start();
    let filed = async |some: i64| {
        let enough = async || (stage.in_state("success").await >= some).then_some(());
        eventually("some are filed", BOUND, enough).await;
    };
    filed(100).await;
    let (mut second, third) = (stage.worker().start(), stage.worker().start());
    filed(300).await;
    second.kill();
    second.exit(BOUND).await;
    let fourth = stage.worker().start();
    filed(550).await;
    end(first).await;
    filed(1000).await;
    let stats = stage.stats().await;
    let most = stats["in_flight_max"].as_u64().unwrap();
    assert!((30..=50).contains(&most), "{most} calls at once");
    stage.books_balance().await;
    end(third).await;
    end(fourth).await;
}
