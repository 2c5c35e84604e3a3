//! HTTP by hand: what no client library would send.

use std::net::SocketAddr;

use risiti_queue::Target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::stage::{Ingress, PATIENCE, Stage};

/// What came back on one connection until it was closed.
#[derive(Debug, Default)]
pub(crate) struct Answers(pub(crate) Vec<(u16, String)>);

impl Answers {
    /// Answers one after the other, each by its length; what is cut off is left out.
    pub(crate) fn read(mut text: &str) -> Self {
        let mut answers = Vec::new();
        while let Some((head, rest)) = text.split_once("\r\n\r\n") {
            let Some(status) = head
                .strip_prefix("HTTP/1.")
                .and_then(|rest| rest.get(2..5)?.parse().ok())
            else {
                panic!("no answer: {head}")
            };
            let length = head.to_ascii_lowercase();
            let length = length
                .split("content-length: ")
                .nth(1)
                .and_then(|rest| rest.split("\r\n").next());
            let length = length.map_or(0, |length| length.parse().unwrap());
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

/// Says these pieces, each flushed, then no more, and listens until the other side has done, too.
pub(crate) async fn say(address: SocketAddr, pieces: &[&[u8]]) -> Answers {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        for piece in pieces {
            // A server that has heard enough closes while there is more to say.
            if stream.write_all(piece).await.is_err() {
                break;
            }
        }
        let _ = stream.shutdown().await;
        rest(&mut stream).await
    };
    tokio::time::timeout(PATIENCE, exchange)
        .await
        .expect("the connection is closed in time")
}

/// All answers until the connection ends, however it does.
pub(crate) async fn rest(stream: &mut TcpStream) -> Answers {
    let mut heard = Vec::new();
    let mut some = [0; 4096];
    while let Ok(n @ 1..) = stream.read(&mut some).await {
        heard.extend_from_slice(&some[..n]);
    }
    Answers::read(&String::from_utf8_lossy(&heard))
}

/// The bodies that were queued, with whether each could be read; the queue is empty then.
pub(crate) async fn taken(stage: &Stage) -> Vec<(Vec<u8>, bool)> {
    let mut taken = Vec::new();
    while let Some(delivery) = stage.broker.get(Target::Payments).await.unwrap() {
        let readable = !delivery
            .message
            .headers
            .contains_key("risiti-unreadable-field");
        taken.push((delivery.message.body.to_vec(), readable));
        delivery.ack().await.unwrap();
    }
    taken
}

/// What holds after anything: it lives, a good webhook is taken, and its log betrays nothing.
pub(crate) async fn lives_on(stage: &Stage, ingress: &Ingress) {
    assert_eq!(
        risiti_testkit::http_status(ingress.ops, "/healthz").await,
        Some(200)
    );
    let body = crate::stage::stk_success("UIS4999999");
    assert_eq!(
        ingress
            .post(stage, &stage.stk(), body.clone())
            .await
            .status(),
        200
    );
    assert!(taken(stage).await.contains(&(body.into_bytes(), true)));
    let log = ingress.process.log();
    for never in [
        "panicked",
        "254708374149",
        "708374149",
        stage.secret.as_str(),
        "MpesaReceiptNumber",
    ] {
        assert!(!log.contains(never), "{never} is in the log:\n{log}");
    }
}
