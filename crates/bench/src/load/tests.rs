use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

const KEPT: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
const REFUSED: &str =
    "HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// What the server of a test does with every tenth payment. The others it keeps.
#[derive(Clone, Copy)]
enum Tenth {
    Refused,
    HungUpOn,
}

async fn serve(tenth: Tenth) -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(answer(stream, tenth));
        }
    });
    Target::new(address, vec!["/stk".to_owned()])
}

async fn answer(mut stream: TcpStream, tenth: Tenth) {
    let mut request = Vec::new();
    while stream.read_buf(&mut request).await.unwrap() > 0 {
        if !request.ends_with(b"]}}}}") {
            continue;
        }
        let number = number_in(&request).expect("a webhook has a number");
        request.clear();
        let answer = match (number % 10, tenth) {
            (0, Tenth::HungUpOn) => return,
            (0, Tenth::Refused) => REFUSED,
            _ => KEPT,
        };
        stream.write_all(answer.as_bytes()).await.unwrap();
        if answer == REFUSED {
            return;
        }
    }
}

fn kept_of(total: u32) -> Vec<u32> {
    (1..=total).filter(|number| number % 10 != 0).collect()
}

#[tokio::test]
async fn closed_loop_sends_each_payment_once() {
    for (tenth, refused, unanswered) in [(Tenth::Refused, 10, 0), (Tenth::HungUpOn, 0, 10)] {
        let closed = Closed {
            target: serve(tenth).await,
            connections: 5,
            lasts: Duration::from_secs(60),
            order: Numbers::new().count(100),
        };
        let mut tally = closed.run().await.unwrap();
        tally.kept.sort_unstable();
        assert_eq!(tally.kept, kept_of(100));
        assert_eq!(tally.statuses.get(&503).copied().unwrap_or(0), refused);
        assert_eq!((tally.unanswered, tally.not_kept()), (unanswered, 10));
    }
}

#[tokio::test]
async fn open_loop_sends_each_payment_once() {
    let (sender, mut answered) = tokio::sync::mpsc::channel(100);
    let open = Open {
        target: serve(Tenth::Refused).await,
        connections: 3,
        per_second: 1_000,
        lasts: Duration::from_millis(100),
        answered: Some(sender),
    };
    let mut tally = open.run(&Numbers::new()).await.unwrap();
    tally.kept.sort_unstable();
    assert_eq!(tally.kept, kept_of(100));
    assert_eq!(tally.not_kept(), 10);

    let mut told = Vec::new();
    while let Some((number, _)) = answered.recv().await {
        told.push(number);
    }
    told.sort_unstable();
    assert_eq!(told, tally.kept);
}

#[tokio::test]
async fn load_without_a_server_fails() {
    let address = SocketAddr::from(([127, 0, 0, 1], risiti_testkit::free_port()));
    let closed = Closed {
        target: Target::new(address, vec!["/".to_owned()]),
        connections: 4,
        lasts: Duration::from_secs(60),
        order: Numbers::new().distinct(),
    };
    assert!(closed.run().await.is_err());
}
