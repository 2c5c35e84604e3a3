//! A process that appends is killed at a random instant, again and again. Every acknowledged entry
//! has to be there afterwards.
#![expect(
    clippy::unwrap_used,
    reason = "a child that cannot be started fails its test"
)]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use risiti_spool::{Condition, Spool};

const FOLDER: &str = "SPOOL_KILL_TEST_FOLDER";
const FIRST_NUMBER: &str = "SPOOL_KILL_TEST_FIRST";
const ROUNDS: usize = 25;
const LIMIT: u64 = 1 << 30;

async fn open_spool(folder: &Path) -> Spool {
    let spool = Spool::open(folder, LIMIT).unwrap();
    let mut status = spool.status();
    let writable = status.wait_for(|status| status.condition == Condition::Writable);
    tokio::time::timeout(Duration::from_secs(20), writable)
        .await
        .unwrap()
        .unwrap();
    spool
}

fn entry(n: u64) -> Vec<u8> {
    let mut bytes = n.to_be_bytes().to_vec();
    bytes.resize(8 + usize::try_from(n * 97 % 5000).unwrap(), 0x5a);
    bytes
}

/// The process that the test below starts and kills. It appends entries and removes every third
/// one. Without the variable it does nothing, as it is no test of its own.
#[tokio::test]
async fn child() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let first: u64 = std::env::var(FIRST_NUMBER).unwrap().parse().unwrap();
    let spool = open_spool(Path::new(&folder)).await;
    for batch in (first..).step_by(4) {
        let appends = (batch..batch + 4).map(|n| {
            let spool = spool.clone();
            tokio::spawn(async move { spool.append(entry(n)).await })
        });
        for (n, append) in (batch..).zip(appends.collect::<Vec<_>>()) {
            append.await.unwrap().unwrap();
            let mut out = std::io::stderr();
            writeln!(out, "acked {n}").unwrap();
        }
        let entries = spool.read(0, usize::MAX, usize::MAX).await.unwrap();
        let thirds = entries
            .iter()
            .filter(|entry| number(&entry.bytes).is_multiple_of(3));
        spool.remove(thirds.map(|entry| entry.number));
    }
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes[..8].try_into().unwrap())
}

/// Kills a child after `lifetime`, and returns the last number that was acknowledged to it.
fn kill_child_after(folder: &Path, first: u64, lifetime: Duration) -> Option<u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(FOLDER, folder)
        .env(FIRST_NUMBER, first.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stderr.take().unwrap());
    let reading = std::thread::spawn(move || {
        let lines = output.lines().map_while(Result::ok);
        lines
            .filter_map(|line| line.strip_prefix("acked ")?.parse().ok())
            .max()
    });
    std::thread::sleep(lifetime);
    child.kill().unwrap();
    child.wait().unwrap();
    reading.join().unwrap()
}

#[tokio::test]
async fn acknowledged_entries_survive_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut next = 0;
    let mut acknowledged = 0;
    for round in 0..ROUNDS {
        let lifetime = Duration::from_millis(rand::random_range(20..300));
        let last = kill_child_after(folder.path(), next, lifetime);
        let spool = open_spool(folder.path()).await;
        assert_eq!(spool.status().borrow().damaged_files, 0, "round {round}");
        let entries: Vec<_> = spool.read(0, usize::MAX, usize::MAX).await.unwrap();
        let numbers: Vec<u64> = entries.iter().map(|entry| number(&entry.bytes)).collect();
        assert!(
            entries
                .iter()
                .all(|stored| stored.bytes == entry(number(&stored.bytes))),
            "round {round}"
        );
        if let Some(last) = last {
            let missing: Vec<u64> = (0..=last)
                .filter(|n| !n.is_multiple_of(3) && !numbers.contains(n))
                .collect();
            assert!(
                missing.is_empty(),
                "round {round}: {missing:?} of {last} are missing"
            );
            acknowledged = last;
        }
        assert_eq!(
            spool.status().borrow().entries,
            numbers.len() as u64,
            "round {round}"
        );
        next = numbers.iter().max().map_or(next, |max| next.max(max + 1));
        spool.close().await;
    }
    assert!(acknowledged > 0, "no child lived long enough to append");
}
