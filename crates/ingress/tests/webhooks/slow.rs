//! Clients that are slow, that vanish, or that come in crowds.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use risiti_testkit::{eventually, http_status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::fixture::{DEADLINE, Fixture, stk_success};
use crate::raw_http::{assert_unharmed, exchange, read_answers, take_queued};

/// A whole STK callback as bytes on the wire, after which the connection closes.
fn request(fixture: &Fixture, body: &str) -> String {
    let path = fixture.stk_path();
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

/// Sends this start and then one byte at a time, without end. Returns the statuses of the answers.
async fn send_byte_by_byte(address: SocketAddr, start: &str) -> Vec<u16> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut reading, mut writing) = stream.into_split();
    writing.write_all(start.as_bytes()).await.unwrap();

    let sending = async {
        while writing.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = sending => unreachable!("the sending never ends"),
        answers = tokio::time::timeout(DEADLINE, read_answers(&mut reading)) => {
            answers.expect("the server closes the connection in time").statuses()
        }
    }
}

#[tokio::test]
async fn client_that_sends_byte_by_byte_is_disconnected() {
    let fixture = Fixture::start().await;
    let ingress = fixture.ingress().body_timeout("1s").ready().await;

    let body = stk_success("UIS4200001");
    let path = "POST /".to_owned();
    let head = request(&fixture, "").replace("content-length: 0", "content-length: 100000");
    let half_head = head.split_once("host").unwrap().0.to_owned() + "x: ";
    let chunked = head.replace("content-length: 100000", "transfer-encoding: chunked") + "ffff\r\n";
    let chunked_elsewhere = chunked.replace("/webhooks/", "/elsewhere/");
    // actix limits the time for a head only on the first request of a connection. A refusal closes
    // the connection, so there is no second request.
    let second_head = "GET /elsewhere HTTP/1.1\r\nhost: x\r\n\r\nPOST /".to_owned();
    let starts = [
        ("a path", path, [408]),
        ("a head", half_head, [408]),
        ("a body", head + &body[..20], [408]),
        ("a chunk", chunked, [408]),
        ("a chunk to an unknown path", chunked_elsewhere, [404]),
        ("a second head", second_head, [404]),
    ];

    let clients = starts
        .iter()
        .map(|(_, start, _)| send_byte_by_byte(ingress.address, start));
    let answers = join_all(clients).await;
    for ((what, _, expected), statuses) in starts.iter().zip(answers) {
        assert_eq!(statuses, *expected, "{what}");
    }
    assert_eq!(take_queued(&fixture).await, []);
    assert_unharmed(&fixture, &ingress).await;
}

#[tokio::test]
async fn client_that_vanishes_leaves_a_whole_webhook_or_none() {
    let fixture = Fixture::start().await;
    let ingress = fixture.ingress().body_timeout("1s").ready().await;

    let bodies: Vec<String> = (0..40)
        .map(|number| stk_success(&format!("UIS43{number:05}")))
        .collect();
    let vanishing = bodies.iter().enumerate().map(async |(number, body)| {
        let whole = request(&fixture, body);
        let mut stream = TcpStream::connect(ingress.address).await.unwrap();
        // Clients vanish within the head, within the body, and before the answer.
        let end = [40, whole.len() - 10, whole.len(), whole.len()][number % 4];
        stream.write_all(&whole.as_bytes()[..end]).await.unwrap();
    });
    join_all(vanishing).await;

    // Each is sent again, and then each is queued once.
    for body in &bodies {
        let answers = exchange(ingress.address, &[request(&fixture, body).as_bytes()]).await;
        assert_eq!(answers.statuses(), [200]);
    }
    let mut queued: Vec<Vec<u8>> = take_queued(&fixture)
        .await
        .into_iter()
        .map(|(body, _)| body)
        .collect();
    queued.sort();
    let expected: Vec<Vec<u8>> = bodies.into_iter().map(String::into_bytes).collect();
    assert_eq!(queued, expected);
    assert_unharmed(&fixture, &ingress).await;
}

#[tokio::test]
async fn idle_connections_keep_others_out_only_briefly() {
    const LIMIT: usize = 500;
    let fixture = Fixture::start().await;
    let ingress = fixture
        .ingress()
        .body_timeout("2s")
        .env("RISITI_CONNECTIONS_MAX", LIMIT.to_string())
        .ready()
        .await;

    let connects = (0..LIMIT + 100).map(|_| TcpStream::connect(ingress.address));
    let mut idle: Vec<TcpStream> = join_all(connects)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    // Health checks have a listener of their own.
    assert_eq!(http_status(ingress.ops, "/healthz").await, Some(200));

    let body = stk_success("UIS4400001");
    let mut late = TcpStream::connect(ingress.address).await.unwrap();
    late.write_all(request(&fixture, &body).as_bytes())
        .await
        .unwrap();
    let answers = tokio::time::timeout(DEADLINE, read_answers(&mut late))
        .await
        .expect("the connection is served in time");
    assert_eq!(answers.statuses(), [200]);

    // It was served in place of an idle connection whose time was over, so the limit was reached.
    let closed = idle.iter().filter(|stream| is_closed(stream)).count();
    assert!(
        closed > 0,
        "more than {LIMIT} connections were served at once"
    );
    eventually("all idle connections are closed", DEADLINE, async || {
        idle.retain(|stream| !is_closed(stream));
        idle.is_empty().then_some(())
    })
    .await;
    assert_eq!(take_queued(&fixture).await, [(body.into_bytes(), true)]);
    assert_unharmed(&fixture, &ingress).await;
}

/// Whether the server has closed the connection, perhaps after a last answer.
fn is_closed(stream: &TcpStream) -> bool {
    let mut buffer = [0; 1024];
    loop {
        match stream.try_read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != std::io::ErrorKind::WouldBlock,
        }
    }
}

/// The body arrives while the process is frozen for longer than it waits for a body. The delay is
/// ours, not the sender's.
#[tokio::test]
async fn body_that_arrives_while_frozen_is_accepted() {
    let fixture = Fixture::start().await;
    let ingress = fixture.ingress().body_timeout("500ms").ready().await;

    let body = stk_success("UIS4000078");
    let whole = request(&fixture, &body).replacen("host: x", "host: x\r\nexpect: 100-continue", 1);
    let (head, body) = whole.split_at(whole.len() - body.len());
    let mut stream = TcpStream::connect(ingress.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.unwrap();
    assert!(go_on.starts_with(b"HTTP/1.1 100"), "the head was read");

    ingress.process.freeze();
    stream.write_all(body.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    ingress.process.thaw();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(fixture.queued().await, 1);
}
