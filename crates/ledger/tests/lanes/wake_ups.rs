use risiti_ledger::{Released, WakeLimit};

use crate::fixture::Fixture;

/// Whether the wake loop would wake the lane now.
async fn wakes(fixture: &Fixture, queue_is_empty: bool) -> bool {
    let woken = fixture
        .ledger
        .wake_lanes(queue_is_empty, &[])
        .await
        .unwrap();
    assert!(woken.iter().all(|lane| *lane == fixture.device));
    woken.len() == 1
}

#[tokio::test]
async fn a_lane_with_work_and_no_worker_is_woken_once() {
    let fixture = Fixture::new().await;
    assert!(!wakes(&fixture, true).await, "an idle lane");
    fixture.add_sale().await;
    assert!(wakes(&fixture, false).await);
    assert!(!wakes(&fixture, false).await, "it has a wake-up now");
    assert!(
        !wakes(&fixture, true).await,
        "a worker may just have taken the wake-up"
    );
    fixture
        .sql("UPDATE lanes SET token_at = now() - interval '3 seconds'")
        .await;
    assert!(!wakes(&fixture, false).await);
    assert!(
        wakes(&fixture, true).await,
        "the queue is empty, so the wake-up is lost"
    );
    fixture
        .sql("UPDATE lanes SET token_at = now() - interval '11 minutes'")
        .await;
    assert!(wakes(&fixture, false).await, "a wake-up this old is lost");
}

#[tokio::test]
async fn a_leased_waiting_or_halted_lane_is_not_woken() {
    let fixture = Fixture::new().await;
    fixture.add_sale().await;
    let claim = fixture.claim().await;
    assert!(!wakes(&fixture, true).await, "leased");
    assert_eq!(
        fixture.ledger.release_lane(&claim).await.unwrap(),
        Released::WakeUpDue
    );
    fixture.sql("UPDATE lanes SET token_at = NULL").await;
    for (block, unblock) in [
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
        fixture.sql(block).await;
        assert!(!wakes(&fixture, true).await, "{block}");
        fixture.sql(unblock).await;
    }
    fixture
        .sql("UPDATE hosts SET breaker = 'open', retry_at = now()")
        .await;
    assert!(
        wakes(&fixture, true).await,
        "an open breaker that may be tried"
    );
}

#[tokio::test]
async fn a_round_wakes_a_thousand_lanes_at_most() {
    let fixture = Fixture::new().await;
    fixture.add_devices_with_sale(1_001).await;
    let woken = fixture.ledger.wake_lanes(false, &[]).await.unwrap();
    assert_eq!(woken.len(), 1_000);
    let woken = fixture.ledger.wake_lanes(false, &[]).await.unwrap();
    assert_eq!(woken.len(), 1);
}

#[tokio::test]
async fn a_limited_host_wakes_those_that_waited_longest() {
    let fixture = Fixture::new().await;
    fixture.add_devices_with_sale(20).await;
    fixture
        .sql("UPDATE lanes SET last_call_at = now() - random() * interval '1 hour'")
        .await;
    let host = fixture.text("SELECT host FROM hosts").await;
    let limited = |lanes| {
        let host = host.clone();
        [WakeLimit { host, lanes }]
    };
    let none = fixture.ledger.wake_lanes(true, &limited(0)).await.unwrap();
    assert!(none.is_empty(), "{none:?}");
    let woken = fixture.ledger.wake_lanes(true, &limited(3)).await.unwrap();
    assert_eq!(woken.len(), 3);
    let newer = "SELECT count(*)::text FROM lanes WHERE token_at IS NULL
        AND last_call_at < (SELECT max(last_call_at) FROM lanes WHERE token_at IS NOT NULL)
        AND device_id IN (SELECT device_id FROM invoices)";
    assert_eq!(fixture.text(newer).await, "0");
    let others = [WakeLimit {
        host: "other:443".to_owned(),
        lanes: 0,
    }];
    let rest = fixture.ledger.wake_lanes(true, &others).await.unwrap();
    assert_eq!(rest.len(), 17);
}
