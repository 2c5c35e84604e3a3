//! The spool holds little in memory, however much is on disk.
#![expect(clippy::unwrap_used, reason = "a test fails where its spool does")]

use std::time::Duration;

use risiti_spool::{Condition, Spool};

const ENTRY_BYTES: usize = 4 << 10;
const FEW: usize = 500;
const MANY: usize = 15_000;
/// What memory may grow by: redb's cache of 8 MiB, and some for the allocator. The entries
/// themselves come to 60 MiB.
const GROWTH_MAX_KIB: u64 = 24 << 10;
/// Appends under way at once, as many as in an ingress at its busiest.
const AT_ONCE: usize = 1_000;

/// The largest resident size of this process so far. The process runs no other test.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

async fn append(spool: &Spool, entries: usize) {
    for _ in (0..entries).step_by(AT_ONCE) {
        let appends: Vec<_> = (0..AT_ONCE.min(entries))
            .map(|_| {
                let spool = spool.clone();
                tokio::spawn(async move { spool.append(vec![0x5a; ENTRY_BYTES]).await })
            })
            .collect();
        for append in appends {
            append.await.unwrap().unwrap();
        }
    }
}

async fn drain(spool: &Spool) -> usize {
    let mut last = 0;
    let mut drained = 0;
    loop {
        let page = spool.read(last, 128, 4 << 20).await.unwrap();
        let Some(end) = page.last() else {
            return drained;
        };
        last = end.number;
        drained += page.len();
        spool.remove(page.iter().map(|entry| entry.number));
    }
}

#[tokio::test]
async fn a_backlog_on_disk_costs_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), 1 << 30).unwrap();
    let mut status = spool.status();
    let writable = status.wait_for(|status| status.condition == Condition::Writable);
    tokio::time::timeout(Duration::from_secs(20), writable)
        .await
        .unwrap()
        .unwrap();

    append(&spool, FEW).await;
    let few = peak_kib();
    append(&spool, MANY).await;
    assert_eq!(drain(&spool).await, FEW + MANY);
    let many = peak_kib();
    assert!(many <= few + GROWTH_MAX_KIB, "{few} KiB became {many} KiB");
}
