//! The command `status`.

use risiti_queue::{Broker, Message, Target};
use risiti_testkit::{Namespace, Program, amqp_url, eventually, free_port};
use serde_json::Value;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::fixture::{CommandResult, Fixture, run_to_end};

const WAIT_MAX: Duration = Duration::from_secs(60);

fn program(fixture: &Fixture, namespace: &Namespace, amqp: &str) -> Program {
    fixture
        .program(&["status"])
        .env("AMQP_URL", amqp)
        .env("RISITI_NAMESPACE", namespace.name())
}

async fn status(fixture: &Fixture, namespace: &Namespace) -> Value {
    run_to_end(program(fixture, namespace, &amqp_url()))
        .await
        .ok()
}

fn attention(status: &Value) -> String {
    status["attention"].to_string()
}

#[tokio::test]
async fn waiting_webhooks_that_nobody_records_are_told_first() {
    let fixture = Fixture::with_merchant().await;
    let namespace = Namespace::unique();
    let broker = Broker::connect(&amqp_url(), namespace.name(), "test").expect("a broker");
    let message = Message {
        id: Uuid::now_v7(),
        headers: Default::default(),
        body: b"{}".as_slice().into(),
    };
    broker.wait_up().await;
    broker
        .publisher()
        .publish(Target::Payments, message, WAIT_MAX)
        .await
        .expect("a confirm");

    let status = eventually("the message is counted", WAIT_MAX, async || {
        let status = status(&fixture, &namespace).await;
        (status["queues"]["payments"]["waiting"] == 1).then_some(status)
    })
    .await;
    let first = &status["attention"][0];
    assert!(
        first["what"]
            .as_str()
            .is_some_and(|what| what.contains("no ledger worker")),
        "{first}"
    );
    assert_eq!(status["queues"]["payments"]["consumers"], 0);
    // The broker still has the message, untouched.
    let delivery = broker
        .get(Target::Payments)
        .await
        .expect("an answer")
        .expect("it");
    assert!(!delivery.redelivered);
    assert_eq!(delivery.delivery_count, 0);
}

#[tokio::test]
async fn halt_breaker_flag_and_dead_letter_are_told() {
    let fixture = Fixture::with_merchant().await;
    let namespace = Namespace::unique();
    fixture
        .add_device("http://127.0.0.1:1", "00", &[])
        .await
        .ok();
    fixture
        .sql(
            "UPDATE lanes SET halted_at = now(), halt_reason = 'by hand';
             UPDATE hosts SET breaker = 'open', opened_at = now();
             INSERT INTO etims_processes (process_id, host, share) SELECT gen_random_uuid(), host, 25 FROM lanes;
             INSERT INTO payments (id, merchant_id, provider, method, conflict, moved_by)
             SELECT gen_random_uuid(), id, 'daraja', 'mobile_money', true, 'test' FROM merchants;
             INSERT INTO dead_letters (id, cause, merchant_id, provider, body, body_sha256, headers)
             SELECT gen_random_uuid(), 'unreadable', id, 'daraja', 'x', sha256('x'), '{}' FROM merchants",
        )
        .await;
    let status = status(&fixture, &namespace).await;
    let told = attention(&status);
    for words in [
        "1 halted lanes",
        "breaker open: http://127.0.0.1:1 (1 lanes)",
        "1 flagged payments",
        "1 unreadable",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert_eq!(status["lanes"]["halted"][0]["reason"], "by hand");
    assert_eq!(status["etims_workers"][0]["slots"], 25);
    assert!(
        status["not_visible"]
            .to_string()
            .contains("risiti_spool_entries")
    );
}

#[tokio::test]
async fn broker_that_is_away_hides_nothing_else() {
    let fixture = Fixture::with_merchant().await;
    let namespace = Namespace::unique();
    let away = program(&fixture, &namespace, "amqp://127.0.0.1:1/%2f");
    let looked: CommandResult = run_to_end(away).await;
    let status = looked.ok();
    assert_eq!(status["not_read"][0]["what"], "queues");
    assert_eq!(status["invoices"]["pending"], 0);
    assert!(attention(&status).contains("queues not read"));
}

/// A listener that shows the metrics of an ingress with three webhooks in its spool.
async fn ingress_with_a_spool() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 512];
            let read = stream.read(&mut request).await.expect("a request");
            assert!(request[..read].starts_with(b"GET /metrics "));
            let answer = "HTTP/1.1 200 OK\r\n\r\n# HELP risiti_spool_entries x\nrisiti_spool_entries 3\n\
                risiti_spool_bytes 4096\nrisiti_spool_oldest_entry_seconds 61\n\
                risiti_webhooks_total{outcome=\"refused\",provider=\"daraja\"} 2\n";
            stream.write_all(answer.as_bytes()).await.expect("a reader");
        }
    });
    format!("http://{address}")
}

#[tokio::test]
async fn spools_are_shown_and_those_not_seen_are_named() {
    let fixture = Fixture::with_merchant().await;
    let namespace = Namespace::unique();
    let seen = ingress_with_a_spool().await;
    let away = format!("http://127.0.0.1:{}", free_port());
    let urls = format!("{seen},{away}");
    let looked = program(&fixture, &namespace, &amqp_url()).env("RISITI_OPS_URLS", &urls);
    let status = run_to_end(looked).await.ok();
    assert_eq!(status["spools"][0]["entries"], 3);
    assert_eq!(status["spools"][0]["refused"], 2);
    assert!(status["spools"][1]["not_seen"].is_string(), "{status}");
    assert_eq!(status["not_visible"], serde_json::json!([]));
    let told = attention(&status);
    assert!(told.contains("3 webhooks are in spools"), "{told}");
    assert!(
        told.contains("were not seen") && told.contains(&away),
        "{told}"
    );

    let looked = program(&fixture, &namespace, &amqp_url()).args(["--ops", "https://h"]);
    run_to_end(looked).await.refused(2, "--ops");
}

/// What a look-up found is told with the halt.
#[tokio::test]
async fn halted_lane_is_told_with_its_evidence() {
    let fixture = Fixture::with_merchant().await;
    let namespace = Namespace::unique();
    fixture
        .add_device("http://127.0.0.1:1", "00", &[])
        .await
        .ok();
    fixture
        .sql(
            "UPDATE lanes SET halted_at = now(), halt_reason = 'x', halt_remedy = 'lanes resolve', found = '{
                \"invoice_no\": 1, \"invoice_id\": null, \"amount\": \"888.00\", \"trader_number\": \"TILL-9\",
                \"issued_at\": \"2026-11-28T08:31:00Z\", \"receipt_no\": 1, \"looked_up_at\": \"2026-11-28T08:40:00Z\"}'",
        )
        .await;
    let evidence = "KRA has under 1: KES 888.00, TILL-9, receipt 1, 11:31 on 2026-11-28 in Nairobi";
    let status = status(&fixture, &namespace).await;
    let halted = &status["lanes"]["halted"][0];
    assert_eq!(halted["evidence"], evidence);
    let action = halted["first_action"].as_str().expect("an action");
    assert!(
        action.contains("--invoice-no 1 --taken-elsewhere"),
        "{action}"
    );
    let shown = fixture.run(&["device", "show", "acme"]).await.ok();
    assert_eq!(shown["evidence"], evidence);
    assert_eq!(shown["first_action"], action);
}
