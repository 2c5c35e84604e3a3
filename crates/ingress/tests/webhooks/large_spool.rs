//! A measurement, run by hand: how long a large spool takes to open after a kill, and what is
//! answered meanwhile.
//!
//! `SPOOL_MIB=1024 cargo nextest run -p risiti-ingress --run-ignored only --no-capture large_spool`

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use risiti_spool::Spool;
use risiti_testkit::{Link, amqp_url};

use crate::fixture::{Fixture, Ingress, stk_success};

const ENTRY_BYTES: usize = 2 << 10;
const APPENDS_AT_ONCE: usize = 1_024;
const LONG_DEADLINE: Duration = Duration::from_secs(120);

/// The answers that came before the spool was open.
struct Answers {
    statuses: Vec<u16>,
    slowest: Duration,
}

fn mebibytes() -> usize {
    std::env::var("SPOOL_MIB").map_or(64, |text| text.parse().unwrap())
}

/// Leaves a spool as a killed process leaves it, that is without closing it. Returns its bytes.
async fn leave_a_large_spool(target: &Path) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), u64::MAX).unwrap();
    for _ in 0..mebibytes() * (1 << 20) / ENTRY_BYTES / APPENDS_AT_ONCE {
        let appends = (0..APPENDS_AT_ONCE).map(|_| spool.append(vec![0x5a; ENTRY_BYTES]));
        try_join_all(appends).await.unwrap();
    }

    let source = folder.path().join("spool.redb");
    let bytes = std::fs::copy(source, target.join("spool.redb")).unwrap();
    spool.close().await;
    bytes
}

/// Posts one webhook after the other until the spool is open.
async fn post_until_open(ingress: &Ingress, prefix: &str) -> Answers {
    let mut answers = Answers {
        statuses: Vec::new(),
        slowest: Duration::ZERO,
    };
    let started = Instant::now();
    while ingress.metric("risiti_spool_bytes").await == 0.0 {
        assert!(
            started.elapsed() < LONG_DEADLINE,
            "not open within {LONG_DEADLINE:?}"
        );
        let body = stk_success(&format!("{prefix}{:06}", answers.statuses.len()));
        let posted = Instant::now();
        let status = ingress.post_stk(body).await.status();
        answers.slowest = answers.slowest.max(posted.elapsed());
        answers.statuses.push(status.as_u16());
    }
    answers
}

#[tokio::test]
#[ignore = "a gibibyte takes minutes to write"]
async fn large_spool_opens_after_a_kill() {
    let fixture = Fixture::start().await;
    let data = tempfile::tempdir().unwrap();
    let bytes = leave_a_large_spool(data.path()).await;
    let link = Link::to(&amqp_url()).await;

    for (broker, prefix) in [("up", "UISJ"), ("away", "UISK")] {
        if broker == "away" {
            link.cut();
        }

        let started = Instant::now();
        let mut ingress = fixture
            .ingress()
            .spool_limit("64GiB")
            .broker(&link)
            .data_dir(data.path())
            .listening()
            .await;
        let answers = post_until_open(&ingress, prefix).await;
        let took = started.elapsed();

        let accepted = answers.statuses.iter().filter(|status| **status == 200);
        eprintln!(
            "broker {broker}: {} MiB open after {took:.1?}; {} of {} webhooks answered 200 \
             meanwhile, the slowest after {:.1?}",
            bytes >> 20,
            accepted.count(),
            answers.statuses.len(),
            answers.slowest,
        );
        ingress.process.kill();
        ingress.process.exit(LONG_DEADLINE).await;
    }
}
