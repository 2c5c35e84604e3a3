//! Attacks that need no secret, or only the secret of one merchant. While each runs, webhooks of
//! other senders are taken in.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures_util::future::join_all;
use risiti_ledger::NewAccount;
use risiti_testkit::eventually;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::fixture::{DEADLINE, Fixture, Ingress, receipts, stk_path_of, stk_success};
use crate::raw_http::{Answers, assert_unharmed, exchange, read_answers};

/// So long that only an eviction ends an attacker's connection within the time of a test.
const LONGER_THAN_THE_TEST: &str = "10m";
/// A share that no source of a test reaches.
const ANY: &str = "1000";
const CLOSE: &str = "connection: close\r\n";

/// A POST of JSON as bytes on the wire.
pub(crate) fn post(path: &str, lines: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{lines}content-length: {length}\r\n\r\n{body}"
    )
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

/// Connects from this address of the machine.
async fn connect_from(source: Ipv4Addr, address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((source, 0).into()).unwrap();
    socket.connect(address).await.unwrap()
}

/// Opens a connection, sends these bytes, and leaves it open.
async fn send_and_stay(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = connect(address).await;
    // The server may close the connection before it has read everything.
    let _ = stream.write_all(bytes).await;
    stream
}

/// Reads one answer of a connection that stays open. Returns its status.
async fn status(stream: &mut TcpStream) -> u16 {
    let mut line = [0; 12];
    stream.read_exact(&mut line).await.unwrap();
    std::str::from_utf8(&line[9..]).unwrap().parse().unwrap()
}

/// Posts new STK callbacks to Acme, each on a connection of its own. Each must be accepted.
async fn assert_callbacks_are_accepted(fixture: &Fixture, ingress: &Ingress, prefix: &str) {
    for receipt in receipts(prefix, 20) {
        let request = post(&fixture.stk_path(), CLOSE, &stk_success(&receipt));
        let answers = exchange(ingress.address, &[request.as_bytes()]).await;
        assert_eq!(answers.statuses(), [200], "{receipt}");
    }
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

/// Whether nothing that was sent to this address waits in the kernel.
fn has_read_all(address: SocketAddr) -> bool {
    let port = format!(":{:04X}", address.port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().skip(1).all(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (unsent, unread) = fields[4].split_once(':').unwrap();
        let is_read = !fields[1].ends_with(&port) || unread == "00000000";
        let is_sent = !fields[2].ends_with(&port) || unsent == "00000000";
        is_read && is_sent
    })
}

#[tokio::test]
async fn head_of_a_second_request_is_timed() {
    let fixture = Fixture::start().await;
    let ingress = fixture.ingress().body_timeout("1s").ready().await;

    let request = post(&fixture.stk_path(), "", &stk_success("UIS5100001"));
    let mut stream = send_and_stay(ingress.address, request.as_bytes()).await;
    assert_eq!(status(&mut stream).await, 200);

    // One byte at a time, each long before an idle connection is closed.
    let (mut reading, mut writing) = stream.into_split();
    let sending = async {
        while writing.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        std::future::pending::<()>().await;
    };
    let mut rest = Vec::new();
    tokio::select! {
        () = sending => unreachable!("the sending never ends"),
        ended = tokio::time::timeout(DEADLINE, reading.read_to_end(&mut rest)) => {
            ended.expect("the connection is closed in time").ok();
        }
    }
    assert_unharmed(&fixture, &ingress).await;
}

/// One merchant's secret is enough to open a connection that looks honest at first.
#[tokio::test]
async fn half_heads_after_a_webhook_keep_nobody_out() {
    const LIMIT: usize = 60;
    let fixture = Fixture::start().await;
    let secret = fixture.add_merchant("hostile", "Hostile Ltd").await;
    let account = NewAccount::Daraja {
        short_codes: vec!["600001".into()],
        allow_cidrs: vec![],
        enforce: false,
    };
    fixture.add_account("hostile", account).await;
    let ingress = fixture
        .ingress()
        .body_timeout(LONGER_THAN_THE_TEST)
        .env("RISITI_CONNECTIONS_MAX", LIMIT.to_string())
        .env("RISITI_CONNECTIONS_PER_SOURCE", ANY)
        .ready()
        .await;

    let path = stk_path_of(&secret);
    let attackers = (0..LIMIT).map(async |number| {
        let request = post(&path, "", &stk_success(&format!("UIS52{number:05}")));
        let mut stream = send_and_stay(ingress.address, request.as_bytes()).await;
        // Without the answer there is no second head. The connection was evicted before.
        let mut answer = [0; 12];
        if stream.read_exact(&mut answer).await.is_ok() {
            let _ = stream.write_all(b"P").await;
        }
        stream
    });
    let _open = join_all(attackers).await;
    assert_callbacks_are_accepted(&fixture, &ingress, "UIS521").await;
}

/// Silent connections, and such with a part of a head, one more than there may be, again and again.
#[tokio::test]
async fn unfinished_heads_keep_nobody_out() {
    const LIMIT: usize = 60;
    let fixture = Fixture::start().await;
    let ingress = fixture
        .ingress()
        .body_timeout(LONGER_THAN_THE_TEST)
        .env("RISITI_CONNECTIONS_MAX", LIMIT.to_string())
        .env("RISITI_CONNECTIONS_PER_SOURCE", ANY)
        .ready()
        .await;

    let mut open = Vec::new();
    for round in 0..4 {
        for start in [&b""[..], b"POST /webhooks/daraja/"] {
            let attackers = (0..LIMIT / 2 + 1).map(|_| send_and_stay(ingress.address, start));
            open.extend(join_all(attackers).await);
        }
        assert_callbacks_are_accepted(&fixture, &ingress, &format!("UIS53{round}")).await;
    }
}

/// As measured: bodies of 250,000 bytes without their last byte take the whole budget, and one more
/// leaves 150 bytes free, which is less than any callback has.
#[tokio::test]
async fn unsigned_bodies_leave_room_for_other_senders() {
    const BUDGET: usize = 64 * 1024 * 1024;
    const BODY: usize = 250_000;
    let fixture = Fixture::start().await;
    let ingress = fixture
        .ingress()
        .body_timeout(LONGER_THAN_THE_TEST)
        .ready()
        .await;

    let whole = BUDGET / (BODY - 1);
    let last = BUDGET - whole * (BODY - 1) - 150;
    let sizes = std::iter::repeat_n(BODY - 1, whole).chain([last]);
    let attackers = sizes.map(async |size| {
        let head = format!(
            "POST /webhooks/paystack/acme HTTP/1.1\r\nhost: x\r\nx-paystack-signature: {}\r\ncontent-type: application/json\r\ncontent-length: {BODY}\r\n\r\n",
            "0".repeat(128)
        );
        let bytes = head.into_bytes().into_iter().chain(vec![b' '; size]);
        send_and_stay(ingress.address, &bytes.collect::<Vec<u8>>()).await
    });
    let _open = join_all(attackers).await;

    eventually("ingress has read all bodies", DEADLINE, async || {
        has_read_all(ingress.address).then_some(())
    })
    .await;
    assert_callbacks_are_accepted(&fixture, &ingress, "UIS540").await;
    let answer = crate::authentication::post_signed(&ingress, "acme").await;
    assert_eq!(answer.status(), 200);
}

/// Without the lower bound, each such body would hold its memory for the whole time of a body.
#[tokio::test]
async fn unsigned_body_that_trickles_is_answered_with_408() {
    let fixture = Fixture::start().await;
    let ingress = fixture
        .ingress()
        .body_timeout(LONGER_THAN_THE_TEST)
        .ready()
        .await;

    let signature = format!("x-paystack-signature: {}\r\n", "0".repeat(128));
    let head = post("/webhooks/paystack/acme", &signature, "")
        .replace("content-length: 0", "content-length: 100000");
    let stream = send_and_stay(ingress.address, head.as_bytes()).await;
    let (mut reading, mut writing) = stream.into_split();
    let sending = async {
        while writing.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = sending => unreachable!("the sending never ends"),
        answers = tokio::time::timeout(DEADLINE, read_answers(&mut reading)) => {
            assert_eq!(answers.expect("an answer in time").statuses(), [408]);
        }
    }
}

#[tokio::test]
async fn one_source_holds_no_more_connections_than_its_share() {
    const SHARE: usize = 20;
    let fixture = Fixture::start().await;
    let ingress = fixture
        .ingress()
        .body_timeout(LONGER_THAN_THE_TEST)
        .env("RISITI_CONNECTIONS_PER_SOURCE", SHARE.to_string())
        .ready()
        .await;

    let crowd = (0..SHARE * 3).map(|_| connect_from(Ipv4Addr::new(127, 0, 0, 2), ingress.address));
    let crowd = join_all(crowd).await;
    eventually(
        "the source has its share and no more",
        DEADLINE,
        async || {
            let open = crowd.iter().filter(|stream| !is_closed(stream)).count();
            (SHARE / 2..=SHARE).contains(&open).then_some(())
        },
    )
    .await;
    // The source itself is served as well, in place of a connection that sends nothing.
    let request = post(&fixture.stk_path(), CLOSE, &stk_success("UIS5500001"));
    let mut stream = connect_from(Ipv4Addr::new(127, 0, 0, 2), ingress.address).await;
    stream.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(read_answers(&mut stream).await.statuses(), [200]);
    assert_callbacks_are_accepted(&fixture, &ingress, "UIS551").await;
}

#[tokio::test]
async fn nothing_after_the_last_request_is_processed() {
    let fixture = Fixture::start().await;
    let ingress = fixture.ingress().ready().await;

    let path = fixture.stk_path();
    let webhook = |lines, receipt| post(&path, lines, &stk_success(receipt));
    let more = webhook("", "UIS5600009");
    for (what, first, status, queued) in [
        ("asked for", webhook(CLOSE, "UIS5600001"), 200, 1),
        (
            "among other options",
            webhook("connection: x, Close\r\n", "UIS5600002"),
            200,
            1,
        ),
        ("404", post("/webhooks/elsewhere", "", "{}"), 404, 0),
        (
            "401",
            post(
                "/webhooks/paystack/acme",
                "x-paystack-signature: zz\r\n",
                "{}",
            ),
            401,
            0,
        ),
        (
            "405",
            format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n"),
            405,
            0,
        ),
        ("400", "POST / HTTP/1.1\r\n\r\n".to_owned(), 400, 0),
    ] {
        let answers = exchange(ingress.address, &[(first + &more).as_bytes()]).await;
        assert_eq!(answers.statuses(), [status], "{what}: {answers:?}");
        let taken = crate::raw_http::take_queued(&fixture).await.len();
        assert_eq!(taken, queued, "{what}");
    }
}

#[tokio::test]
async fn refused_heads_get_problem_details() {
    let fixture = Fixture::start().await;
    let ingress = fixture.ingress().body_timeout("1s").ready().await;

    let long = format!("x: {}\r\n", "y".repeat(40_000));
    let many = "x: y\r\n".repeat(200);
    for (status, bytes) in [
        (400, "GARBAGE\r\n\r\n".to_owned()),
        (400, "POST / HTTP/1.1\r\n\r\n".to_owned()),
        (
            400,
            "POST / HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n".to_owned(),
        ),
        (400, "POST /web".to_owned()),
        (431, format!("POST / HTTP/1.1\r\nhost: x\r\n{long}\r\n")),
        (431, format!("POST / HTTP/1.1\r\nhost: x\r\n{many}\r\n")),
    ] {
        let answer = whole_answer(&ingress, &bytes, true).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        assert_is_problem(&answer, status);
    }
    let answer = whole_answer(&ingress, "POST /web", false).await;
    assert_is_problem(&answer, 408);
}

async fn whole_answer(ingress: &Ingress, bytes: &str, half_close: bool) -> String {
    let mut stream = send_and_stay(ingress.address, bytes.as_bytes()).await;
    if half_close {
        let _ = stream.shutdown().await;
    }
    let mut answer = Vec::new();
    tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer))
        .await
        .expect("the connection is closed in time")
        .ok();
    String::from_utf8(answer).unwrap()
}

fn assert_is_problem(answer: &str, status: u16) {
    assert!(answer.contains("application/problem+json"), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let problem: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(problem["status"], status, "{answer}");
    assert_eq!(Answers::parse(answer).statuses(), [status]);
}
