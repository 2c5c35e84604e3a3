//! When the broker is back, the spool is drained to it, beside live traffic and through kills.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use risiti_queue::Target;
use risiti_spool::Spool;
use risiti_testkit::{Link, amqp_url, eventually};
use uuid::Uuid;

use crate::fixture::{DEADLINE, Fixture, Ingress, receipt_of, receipts};

const MANY: usize = 4_000;
/// Longest wait for that many webhooks on a busy machine.
const LONG_DEADLINE: Duration = Duration::from_secs(240);
const AT_ONCE: usize = 100;
const ACCEPTED: &str = r#"risiti_webhooks_total{outcome="accepted",provider="daraja"}"#;

/// Posts these receipts, a hundred at a time. Each must be accepted.
async fn accept_in_groups(ingress: &Ingress, receipts: &[String]) {
    let groups = receipts.chunks(AT_ONCE);
    stream::iter(groups)
        .for_each(|group| ingress.accept_all(group))
        .await;
}

/// Takes everything from the queue, in order: receipt and event id.
async fn take_all_queued(fixture: &Fixture) -> Vec<(String, Uuid)> {
    let mut consumer = fixture.broker.consumer(Target::Payments, 500);
    let mut all = Vec::new();
    for _ in 0..fixture.queued().await {
        let delivery = tokio::time::timeout(DEADLINE, consumer.next())
            .await
            .unwrap()
            .unwrap();
        all.push((receipt_of(&delivery), delivery.message.id));
        delivery.ack().await.unwrap();
    }
    all
}

/// Starts an ingress with the spool of this folder, connected to the broker through this link.
async fn ingress_with_spool_in(fixture: &Fixture, link: &Link, folder: &Path) -> Ingress {
    let builder = fixture.ingress().with_spool().broker(link);
    builder.data_dir(folder).ready().await
}

#[tokio::test]
async fn live_webhooks_do_not_wait_for_thousands_in_the_spool() {
    let fixture = Fixture::start().await;
    let (link, ingress) = fixture.spooling_ingress().await;
    link.cut();
    let spooled = receipts("UISE", MANY);
    accept_in_groups(&ingress, &spooled).await;

    let live = receipts("UISF", MANY);
    let mut unsent = live.iter();
    link.restore();
    let first_straight = eventually(
        "a live webhook goes straight to the broker",
        LONG_DEADLINE,
        async || {
            let receipt = unsent.next().expect("the broker is back before so many");
            ingress.accept(receipt).await;
            (ingress.metric(ACCEPTED).await > 0.0).then_some(receipt)
        },
    )
    .await;
    assert!(
        ingress.spool_entries().await > 0.0,
        "the live webhook waited for the spool"
    );
    eventually("the spool is empty", LONG_DEADLINE, async || {
        ingress.accept(unsent.next()?).await;
        (ingress.spool_entries().await == 0.0).then_some(())
    })
    .await;

    let queued = take_all_queued(&fixture).await;
    let mut places = HashMap::new();
    let mut events = HashMap::new();
    for (place, (receipt, event)) in queued.iter().enumerate() {
        places.entry(receipt).or_insert(place);
        // A webhook whose confirm was slow may come from the spool too, as the same event.
        assert_eq!(events.entry(receipt).or_insert(event), &event);
    }
    let posted = live.len() - unsent.len();
    assert_eq!(places.len(), MANY + posted);
    assert!(spooled.iter().all(|receipt| places.contains_key(receipt)));
    assert!(places[first_straight] < places[&spooled[MANY - 1]]);
}

#[tokio::test]
async fn kills_while_it_drains_lose_nothing() {
    let fixture = Fixture::start().await;
    let (link, mut ingress) = fixture.spooling_ingress().await;
    let data = std::mem::replace(&mut ingress.data, tempfile::tempdir().unwrap());
    link.cut();
    let receipts = receipts("UISG", 2_000);
    accept_in_groups(&ingress, &receipts).await;

    for kill in 1..=3 {
        // The link is too narrow for all of them before the kill.
        link.throttle(256 << 10);
        eventually("the spool is being drained", LONG_DEADLINE, async || {
            (fixture.queued().await >= 150 * kill).then_some(())
        })
        .await;
        ingress.kill().await;
        assert!(fixture.queued().await < 2_000, "killed too late");
        ingress = ingress_with_spool_in(&fixture, &link, data.path()).await;
    }

    link.restore();
    eventually("the spool is empty", LONG_DEADLINE, async || {
        (ingress.spool_entries().await == 0.0).then_some(())
    })
    .await;

    // Publishes that were under way at a kill come twice, as the same event. The ledger drops them.
    let mut events = HashMap::new();
    for (receipt, event) in take_all_queued(&fixture).await {
        assert_eq!(*events.entry(receipt).or_insert(event), event);
    }
    let lost: Vec<_> = receipts
        .iter()
        .filter(|receipt| !events.contains_key(*receipt))
        .collect();
    assert!(lost.is_empty(), "{lost:?}");
}

#[tokio::test]
async fn undeliverable_entry_delays_no_others_and_stays() {
    let data = tempfile::tempdir().unwrap();
    let broken = Spool::open(data.path(), 1 << 20).unwrap();
    broken.append(b"no message".to_vec()).await.unwrap();
    broken.close().await;

    let fixture = Fixture::start().await;
    let link = Link::to(&amqp_url()).await;
    link.cut();
    let mut ingress = ingress_with_spool_in(&fixture, &link, data.path()).await;
    let receipts = receipts("UISH", 300);
    accept_in_groups(&ingress, &receipts).await;

    link.restore();
    eventually("all entries but one are delivered", DEADLINE, async || {
        (ingress.spool_entries().await == 1.0).then_some(())
    })
    .await;
    assert_eq!(take_all_queued(&fixture).await.len(), receipts.len());
    eventually("the age of the entry shows", DEADLINE, async || {
        let age = ingress.metric("risiti_spool_oldest_entry_seconds").await;
        (age > 0.0).then_some(())
    })
    .await;
    ingress.stop().await;
    let complaints = ingress
        .process
        .log()
        .matches("a spool entry is not a message")
        .count();
    assert!((1..=50).contains(&complaints), "{complaints} complaints");
    let left = Spool::open(data.path(), 1 << 20).unwrap();
    let left = left.read(0, usize::MAX, usize::MAX).await.unwrap();
    assert!(left.len() == 1 && left[0].bytes == b"no message");
}

#[tokio::test]
async fn spool_keeps_webhooks_until_a_lost_queue_is_back() {
    let fixture = Fixture::start().await;
    let (_link, ingress) = fixture.spooling_ingress().await;

    fixture.namespace.delete_queue("payments").await;
    let receipts = receipts("UISI", 100);
    accept_in_groups(&ingress, &receipts).await;
    ingress.wait_until_drained().await;

    // A webhook whose confirm was slow may come from the spool too, as the same event.
    let mut events = BTreeMap::new();
    for (receipt, event) in take_all_queued(&fixture).await {
        assert_eq!(*events.entry(receipt).or_insert(event), event);
    }
    assert!(events.keys().eq(&receipts), "{:?}", events.keys());
}
