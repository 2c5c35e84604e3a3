//! Refusals: their statuses, what they leave in the queue, and what must not show in the log.

use risiti_providers::Envelope;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::fixture::{CREDENTIALS_KEY, DEADLINE, Fixture, JSON, json_of, stk_path_of, stk_success};

#[tokio::test]
async fn each_refusal_has_its_status_and_queues_nothing() {
    let fixture = Fixture::start().await;
    let ingress = fixture
        .ingress()
        .env("RISITI_BODY_LIMIT", "1KiB")
        .ready()
        .await;

    let known = fixture.stk_path();
    let ping = format!("/webhooks/gumroad/{}", fixture.secret);
    let unknown = stk_path_of(&"f".repeat(32));
    let body = stk_success("UIS4000020");
    let too_large = format!("{body}{}", " ".repeat(1024));
    for (path, body, content_type, expected) in [
        (unknown.as_str(), &body, "application/json", 404),
        ("/webhooks/paystack/nobody", &body, "application/json", 401),
        ("/webhooks/paystack/acme", &body, "text/plain", 401),
        ("/webhooks/mpesa", &body, "application/json", 404),
        (&ping, &body, "text/plain", 415),
        (&known, &too_large, "application/json", 413),
    ] {
        let headers = [("content-type", content_type)];
        let answer = ingress.post_with(path, body.as_str(), &headers).await;
        assert_eq!(answer.status(), expected, "{path} {content_type}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
    }

    let url = format!("http://{}{known}", ingress.address);
    let get = fixture.client.get(url).send().await.unwrap();
    assert_eq!(get.status(), 405);
    assert_eq!(fixture.queued().await, 0);
}

#[tokio::test]
async fn unreadable_body_is_queued_and_then_refused() {
    let fixture = Fixture::start().await;
    let ingress = fixture.ingress().ready().await;

    let body = include_str!("../../../providers/fixtures/daraja/stk_malformed_null_fields.json");
    let answer = ingress.post_stk(body).await;
    assert_eq!(answer.status(), 422);
    let problem = json_of(answer).await;
    let field = problem["field"].as_str().unwrap();
    assert!(field.starts_with("Body.stkCallback"), "{problem}");

    let queued = fixture.next_queued().await;
    let envelope = Envelope::from_headers(&queued.message.headers).unwrap();
    assert!(envelope.unreadable.is_some());
    assert_eq!(queued.message.body, body.as_bytes());
}

/// A sender that repeats it gets the same answer, and the metric tells both apart.
#[tokio::test]
async fn unreadable_body_sent_again_is_counted_as_a_duplicate() {
    let fixture = Fixture::start().await;
    let ingress = fixture.ingress().ready().await;

    let body = r#"{"event":"charge.success","data":{"reference":"r","currency":"KES"}}"#;
    let signature = "938a6e2713c489b9ef89a71f1b3eea20b5cda415823a679db7730e9ed713cdc77d78e636a19e74ce34fc98a28a3d762a2d00fe7d0fcac15dd0f4ae4e2d0a652b";
    let headers = [JSON, ("x-paystack-signature", signature)];
    for _ in 0..3 {
        let answer = ingress
            .post_with("/webhooks/paystack/acme", body, &headers)
            .await;
        assert_eq!(answer.status(), 422);
    }

    let counted = async |outcome: &str| {
        let labels = format!(r#"{{outcome="{outcome}",provider="paystack"}}"#);
        let series = format!("risiti_webhooks_total{labels}");
        ingress.metric(&series).await
    };
    assert_eq!(counted("unreadable").await, 1.0);
    assert_eq!(counted("duplicate").await, 2.0);
    assert_eq!(fixture.queued().await, 1);
}

#[tokio::test]
async fn slow_body_is_answered_with_408() {
    let fixture = Fixture::start().await;
    let ingress = fixture.ingress().body_timeout("300ms").ready().await;

    let request = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{{",
        fixture.stk_path()
    );
    let mut connection = TcpStream::connect(ingress.address).await.unwrap();
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    tokio::time::timeout(DEADLINE, connection.read_exact(&mut answer))
        .await
        .expect("an answer in time")
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 408");
}

#[tokio::test]
async fn timeout_echo_is_queued_without_its_credentials() {
    let fixture = Fixture::start().await;
    let ingress = fixture.ingress().ready().await;

    let echo = r#"{"OriginatorConversationID":"feb5-1","InitiatorName":"hunter","SecurityCredential":"hunter2==","Amount":10}"#;
    let path = format!("/webhooks/daraja/{}/timeout", fixture.secret);
    let answer = ingress.post(&path, echo).await;
    assert_eq!(answer.status(), 200);
    let queued = fixture.next_queued().await;
    assert!(!String::from_utf8_lossy(&queued.message.body).contains("hunter"));
}

#[tokio::test]
async fn log_holds_no_secret_phone_body_or_checkout_id() {
    let fixture = Fixture::start().await;
    let mut ingress = fixture.ingress().env("RUST_LOG", "trace").ready().await;

    let readable = stk_success("UIS4000040");
    let unreadable = r#"{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_708374149"}}}"#;
    for body in [readable.as_str(), unreadable] {
        ingress.post_stk(body).await;
    }

    ingress.stop().await;
    let log = ingress.process.log();
    assert!(log.contains("webhook accepted"), "{log}");
    for word in [
        fixture.secret.as_str(),
        "708374149",
        "ws_CO_",
        "stkCallback",
        CREDENTIALS_KEY,
    ] {
        assert!(!log.contains(word), "{word} in the log");
    }
}
