//! The attacks of `attacks.rs` at the size they were measured at. Each prints the peak memory of
//! ingress and how long valid callbacks took meanwhile:
//!
//! ```sh
//! cargo nextest run --release -p risiti-ingress --run-ignored only --no-capture -E 'test(/full_size/)'
//! ```

#![expect(
    clippy::print_stdout,
    reason = "the figures are what these tests are run for"
)]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::attacks::post;
use crate::fixture::{Fixture, Ingress, receipts, stk_success};
use crate::raw_http::exchange;

const CLOSE: &str = "connection: close\r\n";
const CALLBACKS: usize = 300;
const BETWEEN_CALLBACKS: Duration = Duration::from_millis(30);
const MIB: u64 = 1024;

/// The largest resident size of the process so far, in KiB.
fn peak_kib(ingress: &Ingress) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", ingress.process.id())).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().split(' ').next().unwrap().parse().unwrap()
}

/// Posts valid callbacks from an address that nobody attacks from. Each must be accepted. Prints
/// how long they took, and the peak memory.
async fn measure(what: &str, fixture: &Fixture, ingress: &Ingress, before_kib: u64) {
    let mut took = Vec::new();
    for receipt in receipts("UIS7", CALLBACKS) {
        let request = post(&fixture.stk_path(), CLOSE, &stk_success(&receipt));
        let started = Instant::now();
        let answers = exchange(ingress.address, &[request.as_bytes()]).await;
        took.push(started.elapsed());
        assert_eq!(answers.statuses(), [200], "{what}: {receipt}");
        tokio::time::sleep(BETWEEN_CALLBACKS).await;
    }
    took.sort_unstable();
    println!(
        "{what}: {CALLBACKS} of {CALLBACKS} accepted, p50 {:?}, p99 {:?}, most {:?}; memory {} MiB before, {} MiB at most",
        took[CALLBACKS / 2],
        took[CALLBACKS * 99 / 100],
        took[CALLBACKS - 1],
        before_kib / MIB,
        peak_kib(ingress) / MIB,
    );
}

/// Connects from a loopback address of this number.
async fn connect_from(number: usize, address: SocketAddr) -> Option<TcpStream> {
    let source = Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 0, 1, 0)) + number as u32 % 4);
    let socket = TcpSocket::new_v4().ok()?;
    socket.bind((source, 0).into()).ok()?;
    socket.connect(address).await.ok()
}

/// Sends these bytes and keeps the connection until it is closed. Then it begins again.
fn attack(
    attackers: &mut JoinSet<()>,
    address: SocketAddr,
    count: usize,
    bytes: impl Fn(usize) -> Vec<u8>,
    drip: Option<Duration>,
) {
    for number in 0..count {
        let bytes = bytes(number);
        attackers.spawn(async move {
            loop {
                // Without a pause this would be a flood, which takes all processors.
                tokio::time::sleep(Duration::from_millis(200)).await;
                let Some(mut stream) = connect_from(number, address).await else {
                    continue;
                };
                if stream.write_all(&bytes).await.is_err() {
                    continue;
                }
                let mut buffer = [0; 512];
                loop {
                    match drip {
                        None => match stream.read(&mut buffer).await {
                            Ok(1..) => {}
                            _ => break,
                        },
                        Some(pause) => {
                            tokio::time::sleep(pause).await;
                            if stream.write_all(b"x").await.is_err() {
                                break;
                            }
                        }
                    }
                }
            }
        });
    }
}

#[tokio::test]
#[ignore = "full size"]
async fn full_size_unfinished_heads() {
    let fixture = Fixture::start().await;
    let ingress = fixture.ingress().ready().await;
    let before = peak_kib(&ingress);
    let mut attackers = JoinSet::new();
    let head = |_| format!("POST / HTTP/1.1\r\nx: {}", "y".repeat(125_000)).into_bytes();
    attack(&mut attackers, ingress.address, 3_000, head, None);
    measure("3,000 heads of 125 KB", &fixture, &ingress, before).await;
    attackers.shutdown().await;

    let head = |_| format!("POST / HTTP/1.1\r\nx: {}", "y".repeat(15_000)).into_bytes();
    attack(&mut attackers, ingress.address, 3_000, head, None);
    measure("3,000 heads of 15 KB", &fixture, &ingress, before).await;
}

/// What an open connection costs that had a request with a large body and waits for the next.
#[tokio::test]
#[ignore = "full size"]
async fn full_size_idle_connections() {
    const CONNECTIONS: usize = 2_000;
    let fixture = Fixture::start().await;
    let ingress = fixture
        .ingress()
        .env("RISITI_IDLE_TIMEOUT", "10m")
        .ready()
        .await;
    let before = peak_kib(&ingress);
    let path = fixture.stk_path();
    let mut open = Vec::new();
    for number in 0..CONNECTIONS {
        let body = stk_success(&format!("UIS6{number:06}")) + &" ".repeat(200_000);
        let mut stream = connect_from(number, ingress.address).await.unwrap();
        stream
            .write_all(post(&path, "", &body).as_bytes())
            .await
            .unwrap();
        let mut line = [0; 12];
        stream.read_exact(&mut line).await.unwrap();
        assert_eq!(&line[9..], b"200");
        open.push(stream);
    }
    let peak = peak_kib(&ingress);
    println!(
        "{CONNECTIONS} idle connections after a body of 200 KB: {} MiB before, {} MiB at most, {} KiB each",
        before / MIB,
        peak / MIB,
        (peak - before) / CONNECTIONS as u64
    );
    measure("beside idle connections", &fixture, &ingress, before).await;
}

#[tokio::test]
#[ignore = "full size"]
async fn full_size_dribblers() {
    let fixture = Fixture::start().await;
    let ingress = fixture
        .ingress()
        .env("RISITI_CONNECTIONS_MAX", "1000")
        .ready()
        .await;
    let before = peak_kib(&ingress);
    let mut attackers = JoinSet::new();
    let head = |_| b"POST /webhooks".to_vec();
    let pause = Some(Duration::from_millis(500));
    attack(&mut attackers, ingress.address, 2_500, head, pause);
    measure(
        "2,500 dribblers on 1,000 places",
        &fixture,
        &ingress,
        before,
    )
    .await;
}

#[tokio::test]
#[ignore = "full size"]
async fn full_size_second_heads() {
    let fixture = Fixture::start().await;
    let ingress = fixture
        .ingress()
        .env("RISITI_CONNECTIONS_MAX", "200")
        .ready()
        .await;
    let before = peak_kib(&ingress);
    let mut attackers = JoinSet::new();
    let path = fixture.stk_path();
    let webhook =
        |number| (post(&path, "", &stk_success(&format!("UIS8{number:06}"))) + "P").into();
    attack(&mut attackers, ingress.address, 200, webhook, None);
    measure("200 second heads on 200 places", &fixture, &ingress, before).await;
}

#[tokio::test]
#[ignore = "full size"]
async fn full_size_unproven_bodies() {
    let fixture = Fixture::start().await;
    let ingress = fixture.ingress().ready().await;
    let before = peak_kib(&ingress);
    let signature = format!("x-paystack-signature: {}\r\n", "0".repeat(128));
    let path = "/webhooks/paystack/acme";
    let body = |_| {
        let whole = post(path, &signature, &" ".repeat(250_000));
        whole.as_bytes()[..whole.len() - 1].to_vec()
    };
    let mut attackers = JoinSet::new();
    attack(&mut attackers, ingress.address, 400, body, None);
    measure("400 unproven bodies of 250 KB", &fixture, &ingress, before).await;
    attackers.shutdown().await;

    let path = fixture.stk_path();
    let body = |_| {
        let whole = post(&path, "", &" ".repeat(250_000));
        whole.as_bytes()[..whole.len() - 1].to_vec()
    };
    attack(&mut attackers, ingress.address, 400, body, None);
    measure("400 proven bodies of 250 KB", &fixture, &ingress, before).await;
}
