use risiti_domain::{InvoiceState, LaneState};

use crate::kit::Kit;

async fn wakes(kit: &Kit, queue_is_empty: bool) -> bool {
    let woken = kit.ledger.wake_lanes(queue_is_empty).await.unwrap();
    assert!(woken.iter().all(|lane| *lane == kit.device));
    woken.len() == 1
}

#[tokio::test]
async fn a_lane_is_woken_for_work_that_nobody_is_on_and_once() {
    let kit = Kit::new().await;
    assert!(!wakes(&kit, true).await, "an idle lane");
    kit.owe().await;
    assert!(wakes(&kit, false).await);
    assert!(!wakes(&kit, false).await, "it has a token now");
    assert!(
        !wakes(&kit, true).await,
        "the token may be in somebody's hands"
    );
    kit.sql("UPDATE lanes SET token_at = now() - interval '3 seconds'")
        .await;
    assert!(!wakes(&kit, false).await);
    assert!(
        wakes(&kit, true).await,
        "the queue is empty, so the token is lost"
    );
    kit.sql("UPDATE lanes SET token_at = now() - interval '11 minutes'")
        .await;
    assert!(wakes(&kit, false).await, "a token so old is lost");
}

#[tokio::test]
async fn a_lane_that_is_taken_waits_or_is_halted_sleeps() {
    let kit = Kit::new().await;
    kit.owe().await;
    let claim = kit.claim().await;
    assert!(!wakes(&kit, true).await, "leased");
    assert!(
        kit.ledger.release_lane(&claim).await.unwrap(),
        "there is more to do"
    );
    kit.sql("UPDATE lanes SET token_at = NULL").await;
    for (hinder, mend) in [
        (
            "UPDATE lanes SET halted_at = now(), halt_reason = 'x'",
            "UPDATE lanes SET halted_at = NULL, halt_reason = NULL",
        ),
        (
            "UPDATE lanes SET retry_at = now() + interval '1 minute'",
            "UPDATE lanes SET retry_at = NULL",
        ),
        (
            "UPDATE hosts SET breaker = 'open', retry_at = now() + interval '1 minute'",
            "UPDATE hosts SET breaker = 'closed'",
        ),
    ] {
        kit.sql(hinder).await;
        assert!(!wakes(&kit, true).await, "{hinder}");
        kit.sql(mend).await;
    }
    kit.sql("UPDATE hosts SET breaker = 'open', retry_at = now()")
        .await;
    assert!(wakes(&kit, true).await, "an open breaker that may be tried");
}

#[tokio::test]
async fn the_gauges_count_what_is_there() {
    let kit = Kit::new().await;
    let gauges = kit.ledger.lane_gauges().await.unwrap();
    assert_eq!(
        (
            gauges.lanes.get(&LaneState::Idle),
            gauges.oldest_pending_seconds
        ),
        (Some(&1), 0)
    );
    kit.owe().await;
    kit.sql("UPDATE invoices SET created_at = now() - interval '90 seconds'")
        .await;
    let claim = kit.claim().await;
    kit.send(&claim).await;
    let gauges = kit.ledger.lane_gauges().await.unwrap();
    assert_eq!(gauges.invoices.get(&InvoiceState::Submitting), Some(&1));
    assert_eq!(gauges.lanes.get(&LaneState::Busy), Some(&1));
    assert!(
        (90..150).contains(&gauges.oldest_pending_seconds),
        "{}",
        gauges.oldest_pending_seconds
    );
}
