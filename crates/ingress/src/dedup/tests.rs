use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const TTL: Duration = Duration::from_secs(3600);

fn dedup(in_flight_max: usize) -> Arc<Dedup> {
    let settings = Settings {
        entries_max: 100,
        in_flight_max,
        redis_url: None,
        namespace: "test",
    };
    Arc::new(
        Dedup::new(
            &settings,
            DedupMetrics::register(&prometheus::Registry::new()),
        )
        .unwrap(),
    )
}

fn key(name: &str) -> Key {
    Key::new(
        MerchantId::from_uuid(uuid::Uuid::nil()),
        Provider::Daraja,
        name,
        &[0; 32],
    )
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

#[tokio::test]
async fn a_second_delivery_publishes_nothing() {
    let dedup = dedup(10);
    assert_eq!(
        dedup
            .once(key("a"), TTL, soon(), async { Ok(Kept::Queued) })
            .await,
        Once::First(Kept::Queued)
    );
    let again = dedup
        .once(key("a"), TTL, soon(), async { panic!("published twice") })
        .await;
    assert_eq!(again, Once::Seen);
}

#[tokio::test]
async fn parallel_deliveries_share_one_publish() {
    let dedup = dedup(10);
    let publishes = Arc::new(AtomicUsize::new(0));
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let deliveries: Vec<_> = (0..50)
        .map(|_| {
            let (dedup, publishes, gate) = (dedup.clone(), publishes.clone(), gate.clone());
            tokio::spawn(async move {
                let publish = async move {
                    publishes.fetch_add(1, Ordering::SeqCst);
                    gate.acquire().await.map_err(|_| "closed")?.forget();
                    Ok(Kept::Queued)
                };
                dedup.once(key("a"), TTL, soon(), publish).await
            })
        })
        .collect();
    while publishes.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    gate.add_permits(50);
    let mut firsts = 0;
    for delivery in deliveries {
        match delivery.await.unwrap() {
            Once::First(_) => firsts += 1,
            other => assert_eq!(other, Once::Seen),
        }
    }
    assert_eq!((firsts, publishes.load(Ordering::SeqCst)), (1, 1));
}

#[tokio::test]
async fn a_failure_is_remembered_by_nobody() {
    let dedup = dedup(10);
    assert_eq!(
        dedup
            .once(key("a"), TTL, soon(), async { Err("away") })
            .await,
        Once::Failed("away")
    );
    assert_eq!(
        dedup
            .once(key("a"), TTL, soon(), async { Ok(Kept::Queued) })
            .await,
        Once::First(Kept::Queued)
    );
}

#[tokio::test]
async fn a_sender_that_hangs_up_does_not_cancel_the_publish() {
    let dedup = dedup(10);
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let held = gate.clone();
    let publish = async move {
        held.acquire().await.map_err(|_| "closed")?.forget();
        Ok(Kept::Queued)
    };
    let impatient = dedup.once(key("a"), TTL, Instant::now(), publish).await;
    assert_eq!(
        impatient,
        Once::Failed("the webhook was not made durable in time")
    );
    gate.add_permits(1);
    dedup.drain().await;
    assert!(dedup.memory.has(&key("a")));
}

#[tokio::test]
async fn a_publish_that_panics_frees_its_key() {
    let dedup = dedup(10);
    let fails = dedup
        .once(key("a"), TTL, soon(), async {
            panic!("test: a bug in the publisher")
        })
        .await;
    assert_eq!(fails, Once::Failed("the webhook was not made durable"));
    assert_eq!(
        dedup
            .once(key("a"), TTL, soon(), async { Ok(Kept::Queued) })
            .await,
        Once::First(Kept::Queued)
    );
}

#[tokio::test]
async fn the_number_under_way_is_bounded() {
    let dedup = dedup(1);
    let (hold, held) = tokio::sync::oneshot::channel::<()>();
    let running = {
        let dedup = dedup.clone();
        tokio::spawn(async move {
            dedup
                .once(key("a"), TTL, soon(), async {
                    held.await.map(|()| Kept::Queued).map_err(|_| "closed")
                })
                .await
        })
    };
    while dedup.in_flight().is_empty() {
        tokio::task::yield_now().await;
    }
    let refused = dedup
        .once(key("b"), TTL, soon(), async { Ok(Kept::Queued) })
        .await;
    assert_eq!(
        refused,
        Once::Failed("too many webhooks are waiting to be made durable")
    );
    hold.send(()).unwrap();
    assert_eq!(running.await.unwrap(), Once::First(Kept::Queued));
}

#[test]
fn keys_differ_in_every_part() {
    let (one, two) = (
        MerchantId::from_uuid(uuid::Uuid::nil()),
        MerchantId::from_uuid(uuid::Uuid::max()),
    );
    let keys = [
        Key::new(one, Provider::Daraja, "a", &[0; 32]),
        Key::new(two, Provider::Daraja, "a", &[0; 32]),
        Key::new(one, Provider::Paystack, "a", &[0; 32]),
        Key::new(one, Provider::Daraja, "b", &[0; 32]),
        Key::new(one, Provider::Daraja, "a", &[1; 32]),
    ];
    let distinct: std::collections::HashSet<_> = keys.iter().collect();
    assert_eq!(distinct.len(), keys.len());
}
