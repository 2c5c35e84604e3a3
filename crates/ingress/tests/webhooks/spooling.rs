//! While the broker is away, webhooks go to the spool, are answered, and arrive later, once each.

use std::collections::HashSet;

use futures_util::future::join_all;
use risiti_queue::Target;
use risiti_testkit::{Link, amqp_url, eventually, http_status};
use uuid::Uuid;

use crate::fixture::{
    CREDENTIALS_KEY, DEADLINE, Fixture, Ingress, JSON, PAYSTACK_KEY, receipt_of, receipts,
    result_of, stk_success,
};

const ACCEPTED: &str = r#"risiti_webhooks_total{outcome="accepted",provider="daraja"}"#;
const SPOOLED: &str = r#"risiti_webhooks_total{outcome="spooled",provider="daraja"}"#;
const REFUSED: &str = r#"risiti_spool_refused_total{reason="full"}"#;
const MEMORY_MISSES: &str = r#"risiti_dedup_total{outcome="miss",tier="memory"}"#;
const PUBLISHES: &str = "risiti_publish_seconds_count";

/// Takes this many messages from the queue. Returns their receipts in order, and their event ids.
async fn take_queued(fixture: &Fixture, count: usize) -> (Vec<String>, HashSet<Uuid>) {
    let mut receipts = Vec::new();
    let mut events = HashSet::new();
    for _ in 0..count {
        let delivery = fixture.next_queued().await;
        receipts.push(receipt_of(&delivery));
        events.insert(delivery.message.id);
        delivery.ack().await.unwrap();
    }
    (receipts, events)
}

#[tokio::test]
async fn lost_broker_costs_no_answer_and_keeps_the_order() {
    let fixture = Fixture::start().await;
    let (link, ingress) = fixture.spooling_ingress().await;

    link.cut();
    let receipts = receipts("UIS5", 30);
    for receipt in &receipts {
        ingress.accept(receipt).await;
    }
    let again = ingress.post_stk(stk_success(&receipts[0])).await;
    assert_eq!(result_of(again).await, "Duplicate ignored");
    assert_eq!(http_status(ingress.ops, "/readyz").await, Some(200));
    assert_eq!(ingress.metric(SPOOLED).await, 30.0);

    link.restore();
    ingress.wait_until_drained().await;
    assert_eq!(fixture.queued().await, 30);
    let (queued, events) = take_queued(&fixture, 30).await;
    let mut sorted = queued.clone();
    sorted.sort();
    assert_eq!((sorted, events.len()), (receipts.clone(), 30));

    // Sixteen are published at once, so none is further from its place than that.
    let place = |wanted: &String| {
        receipts
            .iter()
            .position(|receipt| receipt == wanted)
            .unwrap()
    };
    assert!(
        queued
            .iter()
            .enumerate()
            .all(|(position, receipt)| place(receipt).abs_diff(position) < 16),
        "{queued:?}"
    );
}

#[tokio::test]
async fn hanging_broker_delays_one_webhook_and_not_each() {
    let fixture = Fixture::start().await;
    let (link, ingress) = fixture.spooling_ingress().await;

    link.freeze();
    ingress.accept_all(&receipts("UIS6", 1)).await;
    let publishes = ingress.metric(PUBLISHES).await;
    ingress.accept_all(&receipts("UIS7", 100)).await;
    assert_eq!(ingress.metric(PUBLISHES).await, publishes);

    link.cut();
    link.restore();
    ingress.wait_until_drained().await;
    eventually(
        "live webhooks go straight to the broker again",
        DEADLINE,
        async || {
            let receipt = format!("UIS8{}", Uuid::now_v7().simple());
            ingress.accept(&receipt).await;
            (ingress.metric(ACCEPTED).await > 0.0).then_some(())
        },
    )
    .await;
}

/// A leader change of a quorum queue looks like this: the broker is there, and confirms nothing.
#[tokio::test]
async fn frozen_broker_refuses_none_of_two_thousand_at_once() {
    let fixture = Fixture::start().await;
    let (link, ingress) = fixture.spooling_ingress().await;
    ingress.accept("UIS9B00001").await;
    link.freeze();
    ingress.accept_all(&receipts("UIS9BB", 2_000)).await;

    link.restore();
    ingress.wait_until_drained().await;
    let mut receipts_queued = HashSet::new();
    eventually("each webhook is queued", DEADLINE, async || {
        while let Some(delivery) = fixture.broker.get(Target::Payments).await.unwrap() {
            receipts_queued.insert(receipt_of(&delivery));
            delivery.ack().await.unwrap();
        }
        (receipts_queued.len() == 2_001).then_some(())
    })
    .await;
}

#[tokio::test]
async fn burst_costs_few_commits() {
    let fixture = Fixture::start().await;
    let (link, ingress) = fixture.spooling_ingress().await;

    link.cut();
    ingress.accept_all(&receipts("UIS9", 500)).await;
    let commits = ingress.metric("risiti_spool_commits_total").await;
    assert!(commits < 250.0, "{commits} commits for 500 webhooks");
}

#[tokio::test]
async fn full_spool_means_503_until_it_is_drained() {
    let fixture = Fixture::start().await;
    let link = Link::to(&amqp_url()).await;
    link.cut();
    let mut ingress = fixture
        .ingress()
        .broker(&link)
        .spool_limit("4KiB")
        .ready()
        .await;

    let mut accepted = 0;
    let refused = loop {
        let body = stk_success(&format!("UISA{accepted:06}"));
        let answer = ingress.post_stk(body).await;
        if answer.status() != 200 {
            break answer;
        }
        accepted += 1;
        assert!(accepted < 10, "4 KiB do not hold ten webhooks");
    };
    assert!(accepted > 0);
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "5");
    ingress
        .process
        .line_with("THE SPOOL IS FULL", DEADLINE)
        .await;
    ingress.wait_until_unready().await;
    assert!(ingress.metric(REFUSED).await >= 1.0);

    link.restore();
    ingress.wait_until_drained().await;
    assert_eq!(fixture.queued().await, accepted);

    link.cut();
    eventually("the spool takes webhooks again", DEADLINE, async || {
        let answer = ingress.post_stk(stk_success("UISA999999")).await;
        (answer.status() == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn killed_ingress_starts_alone_and_keeps_its_spool() {
    let fixture = Fixture::start().await;
    let (broker, mut first) = fixture.spooling_ingress().await;
    first.directory_copy().await;

    broker.cut();
    first.accept_all(&receipts("UISB", 40)).await;
    first.kill().await;

    let postgres = Link::to(fixture.database.url()).await;
    postgres.cut();
    let second = fixture
        .ingress()
        .with_spool()
        .broker(&broker)
        .database(&postgres)
        .data_dir(first.data.path())
        .ready()
        .await;
    second.accept_all(&receipts("UISC", 5)).await;
    assert_eq!(second.spool_entries().await, 45.0);
    assert_no_secret_on_disk(&fixture, &first);

    broker.restore();
    second.wait_until_drained().await;
    let (queued, events) = take_queued(&fixture, 45).await;
    let distinct: HashSet<_> = queued.iter().collect();
    assert_eq!((distinct.len(), events.len()), (45, 45));
    assert_eq!(fixture.queued().await, 0);
}

fn assert_no_secret_on_disk(fixture: &Fixture, ingress: &Ingress) {
    for file in std::fs::read_dir(ingress.data.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        for secret in [fixture.secret.as_str(), PAYSTACK_KEY, CREDENTIALS_KEY] {
            let holds = bytes
                .windows(secret.len())
                .any(|part| part == secret.as_bytes());
            assert!(!holds);
        }
    }
}

#[tokio::test]
async fn two_replicas_cannot_share_a_data_directory() {
    let fixture = Fixture::start().await;
    let first = fixture.ingress().with_spool().ready().await;

    let second = fixture.ingress().with_spool().data_dir(first.data.path());
    let (code, log) = second.run_to_exit().await;
    assert_eq!(code, Some(2));
    assert!(log.contains("RISITI_DATA_DIR"), "{log}");
}

/// A client that hung up before the 200 sends again, as gateways do.
#[tokio::test]
async fn lost_answer_makes_no_second_event() {
    let fixture = Fixture::start().await;
    let (broker, ingress) = fixture.spooling_ingress().await;
    let gateway = Link::to(&format!("http://{}", ingress.address)).await;
    gateway.lose_answers();
    broker.freeze();

    let receipts = receipts("UISD", 20);
    let unanswered = receipts.iter().map(|receipt| {
        let url = format!("http://{}{}", gateway.address(), fixture.stk_path());
        let request = fixture.client.post(url).header(JSON.0, JSON.1);
        request.body(stk_success(receipt)).send()
    });
    tokio::select! {
        answers = join_all(unanswered) => panic!("a client was answered: {answers:?}"),
        () = eventually("all requests are in flight", DEADLINE, async || {
            (ingress.metric(MEMORY_MISSES).await == 20.0).then_some(())
        }) => {}
    }

    // The select above dropped the requests. Half of the clients send again while the first try
    // still waits for the broker or the disk.
    let send_again = async |receipt: &String| {
        let answer = ingress.post_stk(stk_success(receipt)).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(result_of(answer).await, "Duplicate ignored");
    };
    join_all(receipts[..10].iter().map(send_again)).await;
    eventually("all webhooks are on disk", DEADLINE, async || {
        (ingress.spool_entries().await == 20.0).then_some(())
    })
    .await;
    join_all(receipts[10..].iter().map(send_again)).await;

    broker.cut();
    broker.restore();
    ingress.wait_until_drained().await;
    let count = usize::try_from(fixture.queued().await).unwrap();
    let (queued, events) = take_queued(&fixture, count).await;
    let queued: HashSet<_> = queued.into_iter().collect();
    assert_eq!((queued, events.len()), (receipts.into_iter().collect(), 20));
}
