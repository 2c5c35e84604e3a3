//! The broker back: what was spooled goes to it, whoever else wants something of it, and whatever becomes of ingress.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use risiti_queue::Target;
use risiti_spool::Spool;
use risiti_testkit::{Link, eventually};

use crate::away::{behind_a_link, receipts, spooling};
use crate::stage::{Ingress, PATIENCE, Stage};

const MANY: usize = 4_000;
/// So many webhooks on a busy machine.
const BOUND: Duration = Duration::from_secs(240);
const AT_ONCE: usize = 100;
const ENTRIES: &str = "risiti_spool_entries";
const STRAIGHT: &str = r#"risiti_webhooks_total{outcome="accepted",provider="daraja"}"#;

async fn spool(stage: &Stage, ingress: &Ingress, receipts: &[String]) {
    let chunks = receipts.chunks(AT_ONCE);
    stream::iter(chunks)
        .for_each(|chunk| ingress.take(stage, chunk))
        .await;
}

/// What the queue holds, in order: receipt and event.
async fn all_queued(stage: &Stage) -> Vec<(String, uuid::Uuid)> {
    let mut consumer = stage.broker.consumer(Target::Payments, 500);
    let mut all = Vec::new();
    for _ in 0..stage.queued().await {
        let delivery = tokio::time::timeout(PATIENCE, consumer.next())
            .await
            .unwrap()
            .unwrap();
        let body: serde_json::Value = serde_json::from_slice(&delivery.message.body).unwrap();
        let receipt = &body["Body"]["stkCallback"]["CallbackMetadata"]["Item"][1]["Value"];
        all.push((receipt.as_str().unwrap().to_owned(), delivery.message.id));
        delivery.ack().await.unwrap();
    }
    all
}

#[tokio::test]
async fn live_webhooks_do_not_wait_for_thousands_of_spooled_ones() {
    let stage = Stage::set().await;
    let (link, ingress) = behind_a_link(&stage).await;
    link.cut();
    let spooled = receipts("UISE", MANY);
    spool(&stage, &ingress, &spooled).await;
    let live = receipts("UISF", MANY);
    let mut told = live.iter();
    link.restore();
    let first_straight = eventually(
        "a live webhook goes straight to the broker",
        BOUND,
        async || {
            let receipt = told.next().expect("the broker is back before so many");
            ingress.take(&stage, std::slice::from_ref(receipt)).await;
            (ingress.number(&stage, STRAIGHT).await > 0.0).then_some(receipt)
        },
    )
    .await;
    assert!(
        ingress.number(&stage, ENTRIES).await > 0.0,
        "it waited for the spool"
    );
    eventually("the spool is empty", BOUND, async || {
        ingress
            .take(&stage, std::slice::from_ref(told.next()?))
            .await;
        (ingress.number(&stage, ENTRIES).await == 0.0).then_some(())
    })
    .await;

    let queued = all_queued(&stage).await;
    let places: HashMap<_, _> = queued
        .iter()
        .enumerate()
        .map(|(place, (receipt, _))| (receipt, place))
        .collect();
    let posted = live.len() - told.len();
    assert_eq!((queued.len(), places.len()), (MANY + posted, MANY + posted));
    assert!(spooled.iter().all(|receipt| places.contains_key(receipt)));
    assert!(places[first_straight] < places[&spooled[MANY - 1]]);
}

#[tokio::test]
async fn killed_while_it_drains_it_loses_nothing() {
    let stage = Stage::set().await;
    let (link, mut ingress) = behind_a_link(&stage).await;
    let data = std::mem::replace(&mut ingress.data, tempfile::tempdir().unwrap());
    link.cut();
    let receipts = receipts("UISG", 2_000);
    spool(&stage, &ingress, &receipts).await;
    for kill in 1..=3 {
        // Too narrow to be through with it before it is killed.
        link.throttle(256 << 10);
        eventually("it drains", BOUND, async || {
            (stage.queued().await >= 150 * kill).then_some(())
        })
        .await;
        ingress.process.kill();
        ingress.process.exit(PATIENCE).await;
        assert!(stage.queued().await < 2_000, "killed too late");
        let on = |program| {
            spooling(program)
                .env("AMQP_URL", link.url())
                .env("RISITI_DATA_DIR", data.path().to_str().unwrap())
        };
        ingress = stage.ingress_with(on).await;
    }
    link.restore();
    eventually("the spool is empty", BOUND, async || {
        (ingress.number(&stage, ENTRIES).await == 0.0).then_some(())
    })
    .await;

    // Those that were under way come twice, as the same event: the ledger drops them.
    let mut events = HashMap::new();
    for (receipt, event) in all_queued(&stage).await {
        assert_eq!(*events.entry(receipt).or_insert(event), event);
    }
    let lost: Vec<_> = receipts
        .iter()
        .filter(|receipt| !events.contains_key(*receipt))
        .collect();
    assert!(lost.is_empty(), "{lost:?}");
}

#[tokio::test]
async fn what_cannot_be_delivered_holds_up_nobody_and_stays() {
    let data = tempfile::tempdir().unwrap();
    let broken = Spool::open(data.path(), 1 << 20).unwrap();
    broken.append(b"no message".to_vec()).await.unwrap();
    broken.close().await;

    let stage = Stage::set().await;
    let link = Link::to(&risiti_testkit::amqp_url()).await;
    link.cut();
    let on = |program| {
        spooling(program)
            .env("AMQP_URL", link.url())
            .env("RISITI_DATA_DIR", data.path().to_str().unwrap())
    };
    let mut ingress = stage.ingress_with(on).await;
    let receipts = receipts("UISH", 300);
    spool(&stage, &ingress, &receipts).await;
    link.restore();
    eventually("all but one are delivered", PATIENCE, async || {
        (ingress.number(&stage, ENTRIES).await == 1.0).then_some(())
    })
    .await;
    assert_eq!(all_queued(&stage).await.len(), receipts.len());
    eventually("its age can be seen", PATIENCE, async || {
        (ingress
            .number(&stage, "risiti_spool_oldest_entry_seconds")
            .await
            > 0.0)
            .then_some(())
    })
    .await;
    let complaints = ingress
        .process
        .log()
        .matches("an entry of the spool is no message")
        .count();
    assert!((1..=50).contains(&complaints), "{complaints} complaints");

    ingress.process.terminate();
    assert!(ingress.process.exit(PATIENCE).await.success());
    let left = Spool::open(data.path(), 1 << 20).unwrap();
    let left = left.read(0, usize::MAX, usize::MAX).await.unwrap();
    assert!(left.len() == 1 && left[0].bytes == b"no message");
}

#[tokio::test]
async fn what_no_queue_takes_waits_in_the_spool_for_the_queue() {
    let stage = Stage::set().await;
    let (_link, ingress) = behind_a_link(&stage).await;
    stage.namespace.lose_queue("payments").await;
    let receipts = receipts("UISI", 100);
    spool(&stage, &ingress, &receipts).await;
    ingress.drained(&stage).await;
    let mut told: Vec<_> = all_queued(&stage)
        .await
        .into_iter()
        .map(|(receipt, _)| receipt)
        .collect();
    told.sort();
    assert_eq!(told, receipts);
}
