//! HTTP written by hand, for requests that no client library would send.

use std::net::SocketAddr;

use risiti_providers::Envelope;
use risiti_queue::Target;
use risiti_testkit::{eventually, http_status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::fixture::{DEADLINE, Fixture, Ingress, JSON, stk_success};

/// The answers on one connection until it was closed, each with its status and body.
#[derive(Debug, Default)]
pub(crate) struct Answers(Vec<(u16, String)>);

impl Answers {
    /// Reads one answer after the other, each by its length. An answer that is cut off in its head
    /// is left out.
    pub(crate) fn parse(mut text: &str) -> Self {
        let mut answers = Vec::new();
        while let Some((head, rest)) = text.split_once("\r\n\r\n") {
            let Some(status) = head
                .strip_prefix("HTTP/1.")
                .and_then(|rest| rest.get(2..5)?.parse().ok())
            else {
                panic!("not an answer: {head}")
            };

            let length = head
                .to_ascii_lowercase()
                .split("content-length: ")
                .nth(1)
                .and_then(|rest| rest.split("\r\n").next())
                .map_or(0, |length| length.parse().unwrap());
            answers.push((status, rest.get(..length).unwrap_or_default().to_owned()));
            text = rest.get(length..).unwrap_or_default();
        }
        Self(answers)
    }

    pub(crate) fn statuses(&self) -> Vec<u16> {
        self.0.iter().map(|(status, _)| *status).collect()
    }

    /// How many webhooks were acknowledged as new.
    pub(crate) fn accepted(&self) -> usize {
        self.0
            .iter()
            .filter(|(status, body)| *status == 200 && body.contains("\"Accepted\""))
            .count()
    }
}

/// Sends these pieces, each flushed, closes that direction, and reads until the server closes too.
pub(crate) async fn exchange(address: SocketAddr, pieces: &[&[u8]]) -> Answers {
    let exchanging = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        for piece in pieces {
            // A server may close the connection before it has read everything.
            if stream.write_all(piece).await.is_err() {
                break;
            }
        }
        let _ = stream.shutdown().await;
        read_answers(&mut stream).await
    };
    tokio::time::timeout(DEADLINE, exchanging)
        .await
        .expect("the connection is closed in time")
}

/// Reads all answers until the connection ends, in whatever way.
pub(crate) async fn read_answers(stream: &mut (impl AsyncReadExt + Unpin)) -> Answers {
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        received.extend_from_slice(&buffer[..count]);
    }
    Answers::parse(&String::from_utf8_lossy(&received))
}

/// Empties the queue. Returns each body and whether ingress could read it.
pub(crate) async fn take_queued(fixture: &Fixture) -> Vec<(Vec<u8>, bool)> {
    let mut queued = Vec::new();
    while let Some(delivery) = fixture.broker.get(Target::Payments).await.unwrap() {
        let envelope = Envelope::from_headers(&delivery.message.headers).unwrap();
        let readable = envelope.unreadable.is_none();
        queued.push((delivery.message.body.to_vec(), readable));
        delivery.ack().await.unwrap();
    }
    queued
}

/// Checks what holds after any traffic: ingress runs, accepts a good webhook, and has no personal
/// data in its log.
pub(crate) async fn assert_unharmed(fixture: &Fixture, ingress: &Ingress) {
    assert_eq!(http_status(ingress.ops, "/healthz").await, Some(200));

    let body = stk_success("UIS4999999");
    let trace_id = Uuid::now_v7().simple().to_string();
    let trace = format!("00-{trace_id}-00f067aa0ba902b7-01");
    let headers = [JSON, ("traceparent", trace.as_str())];
    let answer = ingress
        .post_with(&fixture.stk_path(), body.clone(), &headers)
        .await;
    assert_eq!(answer.status(), 200);
    let queued = take_queued(fixture).await;
    assert!(queued.contains(&(body.into_bytes(), true)));

    // Lines are written in their order, so this one comes after those of all traffic before.
    eventually("the webhook is in the log", DEADLINE, async || {
        ingress.process.log().contains(&trace_id).then_some(())
    })
    .await;
    let log = ingress.process.log();
    for never in [
        "panicked",
        "254708374149",
        "708374149",
        fixture.secret.as_str(),
        "MpesaReceiptNumber",
    ] {
        assert!(!log.contains(never), "{never} is in the log:\n{log}");
    }
}
