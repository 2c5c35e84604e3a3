//! Clients that dawdle, vanish, or come in crowds.

use std::net::SocketAddr;
use std::time::Duration;

use risiti_testkit::eventually;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::raw::{lives_on, rest, say, taken};
use crate::stage::{PATIENCE, Stage, stk_success};

fn request(stage: &Stage, body: &str) -> String {
    let (path, length) = (stage.stk(), body.len());
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

/// Says one byte at a time, without end, and hears what the server thinks of it.
async fn dribble(address: SocketAddr, start: &str) -> Vec<u16> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut reading, mut writing) = stream.into_split();
    writing.write_all(start.as_bytes()).await.unwrap();
    let dribbling = async {
        while writing.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        std::future::pending::<()>().await;
    };
    let listening = async {
        let mut heard = Vec::new();
        let mut some = [0; 1024];
        while let Ok(n @ 1..) = reading.read(&mut some).await {
            heard.extend_from_slice(&some[..n]);
        }
        crate::raw::Answers::read(&String::from_utf8_lossy(&heard)).statuses()
    };
    tokio::select! {
        () = dribbling => unreachable!("it never ends"),
        heard = tokio::time::timeout(PATIENCE, listening) => heard.expect("the server has had enough in time"),
    }
}

#[tokio::test]
async fn one_byte_at_a_time_is_not_waited_for() {
    let stage = Stage::set().await;
    let ingress = stage
        .ingress_with(|program| program.env("RISITI_BODY_TIMEOUT", "1s"))
        .await;
    let body = stk_success("UIS4200001");
    let head = request(&stage, "").replace("content-length: 0", "content-length: 100000");
    let chunked = head.replace("content-length: 100000", "transfer-encoding: chunked") + "ffff\r\n";
    let nowhere = chunked.replace("/webhooks/", "/elsewhere/");
    // Only the first head of a connection has its time: who was refused gets no second.
    let second = "GET /elsewhere HTTP/1.1\r\nhost: x\r\n\r\nPOST /".to_owned();
    let starts = [
        ("a path", "POST /".to_owned(), &[408][..]),
        (
            "a head",
            head.split_once("host").unwrap().0.to_owned() + "x: ",
            &[408],
        ),
        ("a body", head + &body[..20], &[408]),
        ("a chunk", chunked, &[408]),
        ("a chunk to nowhere", nowhere, &[404]),
        ("a second head", second, &[404]),
    ];
    let heard = starts
        .iter()
        .map(|(_, start, _)| dribble(ingress.address, start));
    for ((what, _, expected), statuses) in starts
        .iter()
        .zip(futures_util::future::join_all(heard).await)
    {
        assert_eq!(statuses, *expected, "{what}");
    }
    assert_eq!(taken(&stage).await, []);
    lives_on(&stage, &ingress).await;
}

#[tokio::test]
async fn who_vanishes_leaves_whole_webhooks_or_none() {
    let stage = Stage::set().await;
    let ingress = stage
        .ingress_with(|program| program.env("RISITI_BODY_TIMEOUT", "1s"))
        .await;
    let bodies: Vec<String> = (0..40)
        .map(|n| stk_success(&format!("UIS43{n:05}")))
        .collect();
    let vanishing = bodies.iter().enumerate().map(async |(n, body)| {
        let whole = request(&stage, body);
        let mut stream = TcpStream::connect(ingress.address).await.unwrap();
        // Within the head, within the body, and with the answer on its way.
        let until = [40, whole.len() - 10, whole.len(), whole.len()][n % 4];
        stream.write_all(&whole.as_bytes()[..until]).await.unwrap();
    });
    futures_util::future::join_all(vanishing).await;
    // Told again, each is there once: the first time counted, or had left nothing.
    for body in &bodies {
        let answers = say(ingress.address, &[request(&stage, body).as_bytes()]).await;
        assert_eq!(answers.statuses(), [200]);
    }
    let mut taken: Vec<Vec<u8>> = taken(&stage)
        .await
        .into_iter()
        .map(|(body, _)| body)
        .collect();
    taken.sort();
    assert_eq!(
        taken,
        bodies
            .iter()
            .map(|body| body.as_bytes().to_vec())
            .collect::<Vec<_>>()
    );
    lives_on(&stage, &ingress).await;
}

#[tokio::test]
async fn a_crowd_of_idle_connections_keeps_nobody_out_for_long() {
    const LIMIT: usize = 500;
    let stage = Stage::set().await;
    let ingress = stage
        .ingress_with(|program| {
            program
                .env("RISITI_BODY_TIMEOUT", "2s")
                .env("RISITI_CONNECTIONS_MAX", LIMIT.to_string())
        })
        .await;
    let idle = futures_util::future::join_all(
        (0..LIMIT + 100).map(|_| TcpStream::connect(ingress.address)),
    );
    let mut idle: Vec<TcpStream> = idle.await.into_iter().map(Result::unwrap).collect();
    // Operations have a listener of their own.
    assert_eq!(
        risiti_testkit::http_status(ingress.ops, "/healthz").await,
        Some(200)
    );
    let body = stk_success("UIS4400001");
    let mut late = TcpStream::connect(ingress.address).await.unwrap();
    late.write_all(request(&stage, &body).as_bytes())
        .await
        .unwrap();
    let answers = tokio::time::timeout(PATIENCE, rest(&mut late))
        .await
        .expect("there is a place in time");
    assert_eq!(answers.statuses(), [200]);
    // That place was somebody's whose time was up: the limit was reached.
    let mut ended = 0;
    for stream in &idle {
        ended += usize::from(is_closed(stream));
    }
    assert!(
        ended > 0,
        "more than {LIMIT} connections were served at once"
    );
    eventually("all idle ones are gone", PATIENCE, async || {
        idle.retain(|stream| !is_closed(stream));
        idle.is_empty().then_some(())
    })
    .await;
    assert_eq!(taken(&stage).await, [(body.into_bytes(), true)]);
    lives_on(&stage, &ingress).await;
}

/// Closed by the other side, perhaps after a last word.
fn is_closed(stream: &TcpStream) -> bool {
    let mut some = [0; 1024];
    loop {
        match stream.try_read(&mut some) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != std::io::ErrorKind::WouldBlock,
        }
    }
}

/// While the ingress is frozen, for longer than it waits for a body, the body arrives: it was our time, not the sender's.
#[tokio::test]
async fn a_body_that_came_while_we_were_frozen_is_taken() {
    let stage = Stage::set().await;
    let ingress = stage
        .ingress_with(|program| program.env("RISITI_BODY_TIMEOUT", "500ms"))
        .await;
    let body = stk_success("UIS4000078");
    let whole = request(&stage, &body).replacen("host: x", "host: x\r\nexpect: 100-continue", 1);
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
    assert_eq!(stage.queued().await, 1);
}
