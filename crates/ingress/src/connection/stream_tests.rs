//! What the HTTP library gets to read, and when.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use prometheus::Registry;
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf,
};

use super::stream::{BURST, GuardedStream, STAND_IN};
use super::table::{ConnectionLimits, Connections};
use super::{HeadRefusal, Phase};
use crate::metrics::ConnectionMetrics;
use crate::source::TrustedProxies;

const POST: &[u8] = b"POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello";
const GET: &[u8] = b"GET /y HTTP/1.1\r\nhost: x\r\n\r\n";

fn connections() -> Arc<Connections> {
    let limits = ConnectionLimits {
        open_max: 100,
        per_source_max: 100,
        head_ticks: 100,
        idle_ticks: 50,
        age_ticks: 1_000,
        requests_max: 1_000,
    };
    let metrics = ConnectionMetrics::register(&Registry::new());
    Connections::new(limits, TrustedProxies::default(), metrics)
}

fn guarded() -> (DuplexStream, GuardedStream<DuplexStream>) {
    let (client, server) = tokio::io::duplex(1024 * 1024);
    let place = connections().open([192, 0, 2, 1].into()).unwrap();
    (client, GuardedStream::new(server, place))
}

/// What the library gets in one go: everything until it has to wait. `None` at the end.
async fn read(stream: &mut GuardedStream<DuplexStream>) -> Option<Vec<u8>> {
    poll_fn(|cx| {
        let mut all = Vec::new();
        loop {
            let mut bytes = [0; 8 * 1024];
            let mut buffer = ReadBuf::new(&mut bytes);
            match Pin::new(&mut *stream).poll_read(cx, &mut buffer) {
                Poll::Pending => return Poll::Ready(Some(all)),
                Poll::Ready(read) => read.unwrap(),
            }
            if buffer.filled().is_empty() {
                return Poll::Ready((!all.is_empty()).then_some(all));
            }
            all.extend_from_slice(buffer.filled());
        }
    })
    .await
}

/// Writes an answer, as the library does.
async fn answer(stream: &mut GuardedStream<DuplexStream>, closes: bool) {
    stream.connection().answered(closes);
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    poll_fn(|cx| Pin::new(&mut *stream).poll_flush(cx))
        .await
        .unwrap();
}

#[tokio::test]
async fn head_that_comes_byte_by_byte_is_handed_on_whole() {
    let (mut client, mut stream) = guarded();
    let head = &POST[..POST.len() - 5];
    for byte in &head[..head.len() - 1] {
        client.write_all(&[*byte]).await.unwrap();
        assert_eq!(read(&mut stream).await, Some(vec![]));
        assert_eq!(stream.connection().phase(), Phase::Head);
    }
    client.write_all(b"\n").await.unwrap();
    assert_eq!(read(&mut stream).await.unwrap(), head);
    assert_eq!(stream.connection().phase(), Phase::Body);
    client.write_all(b"hello").await.unwrap();
    assert_eq!(read(&mut stream).await.unwrap(), b"hello");
    assert_eq!(stream.connection().phase(), Phase::Handling);
}

#[tokio::test]
async fn next_request_waits_for_the_answer() {
    let (mut client, mut stream) = guarded();
    let chunked =
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let requests = [POST, &chunked[..], GET, POST];
    client.write_all(&requests.concat()).await.unwrap();
    for request in requests {
        assert_eq!(read(&mut stream).await.unwrap(), request);
        assert_eq!(read(&mut stream).await, Some(vec![]), "before the answer");
        answer(&mut stream, false).await;
    }
    assert_eq!(read(&mut stream).await, Some(vec![]));
    assert_eq!(stream.connection().phase(), Phase::Idle);
}

#[tokio::test]
async fn nothing_is_handed_on_after_the_last_request() {
    let last = b"GET /z HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    for (first, closes) in [(GET, true), (&last[..], false)] {
        let (mut client, mut stream) = guarded();
        client.write_all(&[first, GET].concat()).await.unwrap();
        assert_eq!(read(&mut stream).await.unwrap(), first);
        answer(&mut stream, closes).await;
        assert_eq!(read(&mut stream).await, None);
        assert_eq!(stream.connection().phase(), Phase::Closing);
    }
}

#[tokio::test]
async fn answer_before_the_end_of_a_body_is_the_last() {
    let (mut client, mut stream) = guarded();
    client.write_all(&POST[..POST.len() - 2]).await.unwrap();
    read(&mut stream).await.unwrap();
    answer(&mut stream, false).await;
    client.write_all(b"lo").await.unwrap();
    client.write_all(GET).await.unwrap();
    assert_eq!(read(&mut stream).await, None);
}

#[tokio::test]
async fn refused_head_is_replaced_by_a_request_of_ours() {
    let long = [&b"GET / HTTP/1.1\r\nx: "[..], &[b'y'; 17_000]].concat();
    for (bytes, refusal) in [
        (&b"GARBAGE\r\n\r\n"[..], HeadRefusal::Malformed),
        (b"GET / HTTP/1.1\r\n\r\n", HeadRefusal::Malformed),
        (&long, HeadRefusal::TooLarge),
    ] {
        let (mut client, mut stream) = guarded();
        client.write_all(bytes).await.unwrap();
        client.write_all(GET).await.unwrap();
        assert_eq!(read(&mut stream).await.unwrap(), STAND_IN);
        assert_eq!(stream.connection().refusal(), Some(refusal));
        answer(&mut stream, true).await;
        assert_eq!(read(&mut stream).await, None);
    }
}

#[tokio::test]
async fn late_head_is_refused_and_a_silent_connection_ends() {
    for (sent, expected) in [(&b"GET /"[..], Some(STAND_IN)), (b"", None)] {
        let (mut client, mut stream) = guarded();
        client.write_all(sent).await.unwrap();
        assert_eq!(read(&mut stream).await, Some(vec![]));
        stream.connection().mark_late();
        assert_eq!(read(&mut stream).await.as_deref(), expected);
    }
    // A head that came in time is not late, whenever it is looked at.
    let (mut client, mut stream) = guarded();
    client.write_all(GET).await.unwrap();
    stream.connection().mark_late();
    assert_eq!(read(&mut stream).await.unwrap(), GET);
}

#[tokio::test]
async fn cut_ends_a_body_and_not_a_request_that_is_handled() {
    let (mut client, mut stream) = guarded();
    client.write_all(&POST[..POST.len() - 2]).await.unwrap();
    read(&mut stream).await.unwrap();
    stream.connection().cut();
    assert_eq!(read(&mut stream).await, None);

    let (mut client, mut stream) = guarded();
    client.write_all(POST).await.unwrap();
    read(&mut stream).await.unwrap();
    stream.connection().cut();
    assert_eq!(read(&mut stream).await, Some(vec![]));
}

#[tokio::test]
async fn bad_chunk_ends_the_body() {
    let (mut client, mut stream) = guarded();
    let head = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    client.write_all(head).await.unwrap();
    client
        .write_all(b"0x5\r\nhello\r\n0\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(read(&mut stream).await.unwrap(), head);
    assert_eq!(read(&mut stream).await, None);
}

#[tokio::test]
async fn body_is_handed_on_in_bursts() {
    let (mut client, mut stream) = guarded();
    let head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n";
    client.write_all(head).await.unwrap();
    client.write_all(&[b'x'; 100_000]).await.unwrap();
    let mut bytes = 0;
    let mut bursts = 0;
    while bytes < head.len() + 100_000 {
        let burst = read(&mut stream).await.unwrap();
        assert!(burst.len() < 2 * BURST, "{}", burst.len());
        bytes += burst.len();
        bursts += 1;
    }
    assert!(bursts >= 5);
    assert_eq!(stream.connection().phase(), Phase::Handling);
}

#[tokio::test]
async fn first_request_waits_outside_the_library() {
    let (mut client, mut stream) = guarded();
    client.write_all(POST).await.unwrap();
    assert!(stream.has_request().await);
    assert_eq!(read(&mut stream).await.unwrap(), POST);

    let (client, mut stream) = guarded();
    drop(client);
    assert!(!stream.has_request().await);
}

#[tokio::test]
async fn client_that_still_sends_gets_the_answer_before_the_end() {
    let (mut client, mut stream) = guarded();
    client.write_all(GET).await.unwrap();
    read(&mut stream).await.unwrap();
    client.write_all(&[b'x'; 100_000]).await.unwrap();
    answer(&mut stream, true).await;
    let closing = tokio::spawn(async move { stream.shutdown().await.is_ok() });
    let mut seen = Vec::new();
    client.read_to_end(&mut seen).await.unwrap();
    assert!(seen.starts_with(b"HTTP/1.1 200"));
    drop(client);
    assert!(closing.await.unwrap());
}
