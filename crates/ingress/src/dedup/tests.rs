use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus::Registry;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::*;

const TTL: Duration = Duration::from_secs(3600);

fn dedup() -> Arc<Dedup> {
    let settings = DedupSettings {
        entries_max: 100,
        redis_url: None,
        namespace: "test",
    };
    Arc::new(Dedup::new(&settings, DedupMetrics::register(&Registry::new())).unwrap())
}

fn key(name: &str) -> DedupKey {
    DedupKey::new(
        MerchantId::from_uuid(Uuid::nil()),
        Provider::Daraja,
        name,
        &[0; 32],
    )
}

fn in_twenty_seconds() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

#[tokio::test]
async fn second_delivery_publishes_nothing() {
    let dedup = dedup();
    assert_eq!(
        dedup
            .once(key("a"), TTL, in_twenty_seconds(), async {
                Ok(StoredIn::Queue)
            })
            .await,
        DeliveryOutcome::Stored(StoredIn::Queue)
    );

    let again = dedup
        .once(key("a"), TTL, in_twenty_seconds(), async {
            panic!("published twice")
        })
        .await;
    assert_eq!(again, DeliveryOutcome::Duplicate);
}

#[tokio::test]
async fn parallel_deliveries_share_one_publish() {
    let dedup = dedup();
    let publishes = Arc::new(AtomicUsize::new(0));
    let release = Arc::new(Semaphore::new(0));
    let deliveries: Vec<_> = (0..50)
        .map(|_| {
            let dedup = dedup.clone();
            let publishes = publishes.clone();
            let release = release.clone();
            tokio::spawn(async move {
                let publish = async move {
                    publishes.fetch_add(1, Ordering::SeqCst);
                    release.acquire().await.map_err(|_| "closed")?.forget();
                    Ok(StoredIn::Queue)
                };
                dedup
                    .once(key("a"), TTL, in_twenty_seconds(), publish)
                    .await
            })
        })
        .collect();

    while publishes.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    release.add_permits(50);

    let mut firsts = 0;
    for delivery in deliveries {
        match delivery.await.unwrap() {
            DeliveryOutcome::Stored(_) => firsts += 1,
            other => assert_eq!(other, DeliveryOutcome::Duplicate),
        }
    }
    assert_eq!((firsts, publishes.load(Ordering::SeqCst)), (1, 1));
}

#[tokio::test]
async fn failure_is_not_remembered() {
    let dedup = dedup();
    assert_eq!(
        dedup
            .once(key("a"), TTL, in_twenty_seconds(), async { Err("away") })
            .await,
        DeliveryOutcome::Failed("away")
    );
    assert_eq!(
        dedup
            .once(key("a"), TTL, in_twenty_seconds(), async {
                Ok(StoredIn::Queue)
            })
            .await,
        DeliveryOutcome::Stored(StoredIn::Queue)
    );
}

#[tokio::test]
async fn publish_goes_on_when_its_sender_hangs_up() {
    let dedup = dedup();
    let release = Arc::new(Semaphore::new(0));
    let held = release.clone();
    let publish = async move {
        held.acquire().await.map_err(|_| "closed")?.forget();
        Ok(StoredIn::Queue)
    };
    let timed_out = dedup.once(key("a"), TTL, Instant::now(), publish).await;
    assert_eq!(
        timed_out,
        DeliveryOutcome::Failed("the webhook was not made durable in time")
    );

    release.add_permits(1);
    dedup.finish_tasks().await;
    assert!(dedup.known().memory.contains(&key("a")));
}

#[tokio::test]
async fn publish_that_panics_frees_its_key() {
    let dedup = dedup();
    let failed = dedup
        .once(key("a"), TTL, in_twenty_seconds(), async {
            panic!("test: a bug in the publisher")
        })
        .await;
    assert_eq!(
        failed,
        DeliveryOutcome::Failed("the webhook was not made durable")
    );
    assert_eq!(
        dedup
            .once(key("a"), TTL, in_twenty_seconds(), async {
                Ok(StoredIn::Queue)
            })
            .await,
        DeliveryOutcome::Stored(StoredIn::Queue)
    );
}

#[test]
fn keys_differ_in_every_part() {
    let one = MerchantId::from_uuid(Uuid::nil());
    let two = MerchantId::from_uuid(Uuid::max());
    let keys = [
        DedupKey::new(one, Provider::Daraja, "a", &[0; 32]),
        DedupKey::new(two, Provider::Daraja, "a", &[0; 32]),
        DedupKey::new(one, Provider::Paystack, "a", &[0; 32]),
        DedupKey::new(one, Provider::Daraja, "b", &[0; 32]),
        DedupKey::new(one, Provider::Daraja, "a", &[1; 32]),
    ];

    let distinct: HashSet<_> = keys.iter().collect();
    assert_eq!(distinct.len(), keys.len());
}
