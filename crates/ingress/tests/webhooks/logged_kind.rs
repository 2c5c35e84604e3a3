//! A sender's own name of an event is stored and not logged.

use risiti_providers::Envelope;

use crate::fixture::Fixture;

#[tokio::test]
async fn senders_name_of_an_event_is_not_logged() {
    let fixture = Fixture::start().await;
    let mut ingress = fixture.ingress().env("RUST_LOG", "trace").ready().await;

    let ping = include_str!("../../../providers/fixtures/gumroad/subscription_ended_ping.txt");
    let sent = ping.replace(
        "resource_name=subscription_ended",
        "resource_name=call-254708374149",
    );
    let path = format!("/webhooks/gumroad/{}", fixture.secret);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let answer = ingress.post_with(&path, sent.as_str(), &form).await;
    assert_eq!(answer.status(), 200);
    let queued = fixture.next_queued().await;
    let envelope = Envelope::from_headers(&queued.message.headers).unwrap();
    assert_eq!(envelope.kind.as_deref(), Some("call-254708374149"));

    ingress.stop().await;
    let log = ingress.process.log();
    assert!(log.contains("webhook accepted"), "{log}");
    assert!(log.contains("other"), "{log}");
    assert!(!log.contains("254708374149"), "{log}");
}
