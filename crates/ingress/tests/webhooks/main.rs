//! The ingress program over HTTP, with a real broker and database.
#![expect(
    clippy::unwrap_used,
    reason = "a fixture that cannot be set up fails its test"
)]

mod attacks;
mod attacks_full_size;
mod authentication;
mod deduplication;
mod directory;
mod draining;
mod fixture;
mod framing;
mod framing_cases;
mod https;
mod large_spool;
mod logged_kind;
mod misaddressed;
mod proxies;
mod queue_gauges;
mod raw_http;
mod refusals;
mod server_tls;
mod slow;
mod spooling;
mod unread_log;
mod without_spool;

use risiti_providers::Envelope;
use risiti_testkit::amqp_url;
use serde_json::json;

use fixture::{Fixture, json_of, stk_success};

#[tokio::test]
async fn webhook_is_queued_unchanged_and_then_acknowledged() {
    let fixture = Fixture::start().await;
    let ingress = fixture.ingress().ready().await;

    let body = stk_success("UIS4000004");
    let answer = ingress.post_stk(body.clone()).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(
        json_of(answer).await,
        json!({"ResultCode": 0, "ResultDesc": "Accepted"})
    );

    let delivery = fixture.next_queued().await;
    assert_eq!(delivery.message.body, body.as_bytes());
    let envelope = Envelope::from_headers(&delivery.message.headers).unwrap();
    assert_eq!(envelope.kind.as_deref(), Some("stk"));
    assert_eq!(envelope.event_id.uuid(), delivery.message.id);
}

#[tokio::test]
async fn broker_url_of_the_nameless_vhost_ends_it_with_2() {
    let fixture = Fixture::start().await;
    let url = amqp_url().replace("/%2f", "/");
    let ingress = fixture.ingress().env("AMQP_URL", url);

    let (code, log) = ingress.run_to_exit().await;
    assert_eq!(code, Some(2));
    assert!(log.contains("AMQP_URL") && log.contains("/%2f"), "{log}");
}

#[tokio::test]
async fn signal_ends_it_with_0_and_loses_no_webhook() {
    let fixture = Fixture::start().await;
    let mut ingress = fixture.ingress().ready().await;
    ingress.accept("UIS4000010").await;

    ingress.stop().await;
    assert_eq!(fixture.queued().await, 1);
}
