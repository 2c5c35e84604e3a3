//! How long a large spool takes to open after a kill, and what is answered meanwhile. A measurement, run by hand:
//! `SPOOL_MIB=1024 cargo nextest run -p risiti-ingress --run-ignored only --no-capture opening`

use std::path::Path;
use std::time::{Duration, Instant};

use risiti_spool::Spool;
use risiti_testkit::Link;

use crate::away::spooling;
use crate::stage::{Ingress, Stage, stk_success};

const ENTRY: usize = 2 << 10;
const AT_ONCE: usize = 1_024;
const BOUND: Duration = Duration::from_secs(120);

fn mebibytes() -> usize {
    std::env::var("SPOOL_MIB").map_or(64, |text| text.parse().unwrap())
}

/// As a process that is killed leaves it: nothing was closed.
async fn leave_a_large_spool(at: &Path) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), u64::MAX).unwrap();
    for _ in 0..mebibytes() * (1 << 20) / ENTRY / AT_ONCE {
        let appends = (0..AT_ONCE).map(|_| spool.append(vec![0x5a; ENTRY]));
        futures_util::future::try_join_all(appends).await.unwrap();
    }
    let bytes = std::fs::copy(folder.path().join("spool.redb"), at.join("spool.redb")).unwrap();
    spool.close().await;
    bytes
}

/// Posts one after the other until the spool is open; how each was answered, and the slowest.
async fn until_it_is_open(stage: &Stage, ingress: &Ingress, prefix: &str) -> (Vec<u16>, Duration) {
    let (mut answers, mut slowest) = (Vec::new(), Duration::ZERO);
    let started = Instant::now();
    while ingress.number(stage, "risiti_spool_bytes").await == 0.0 {
        assert!(started.elapsed() < BOUND, "not open within {BOUND:?}");
        let body = stk_success(&format!("{prefix}{:06}", answers.len()));
        let posted = Instant::now();
        let status = ingress
            .post(stage, &stage.stk(), body)
            .await
            .status()
            .as_u16();
        slowest = slowest.max(posted.elapsed());
        answers.push(status);
    }
    (answers, slowest)
}

#[tokio::test]
#[ignore = "a gibibyte takes minutes to write"]
async fn a_large_spool_after_a_kill() {
    let stage = Stage::set().await;
    let data = tempfile::tempdir().unwrap();
    let bytes = leave_a_large_spool(data.path()).await;
    let link = Link::to(&risiti_testkit::amqp_url()).await;
    for (what, prefix, away) in [("up", "UISJ", false), ("away", "UISK", true)] {
        let limit = |program| spooling(program).env("RISITI_SPOOL_LIMIT", "64GiB");
        let path = data.path().to_str().unwrap();
        if away {
            link.cut();
        }
        let started = Instant::now();
        let mut ingress = stage
            .start(|program| {
                limit(program)
                    .env("AMQP_URL", link.url())
                    .env("RISITI_DATA_DIR", path)
            })
            .await;
        let (answers, slowest) = until_it_is_open(&stage, &ingress, prefix).await;
        let took = started.elapsed();
        let taken = answers.iter().filter(|status| **status == 200).count();
        eprintln!(
            "broker {what}: {} MiB open after {took:.1?}; {taken} of {} webhooks answered 200 meanwhile, the slowest after {slowest:.1?}",
            bytes >> 20,
            answers.len()
        );
        ingress.process.kill();
        ingress.process.exit(BOUND).await;
    }
}
