//! However much waits on disk, the spool holds little of it in memory.
#![expect(clippy::unwrap_used, reason = "a test fails where its spool does")]

use std::time::Duration;

use risiti_spool::{Condition, Spool};

const ENTRY_BYTES: usize = 4 << 10;
const FEW: usize = 500;
const MANY: usize = 15_000;
/// redb's cache of 8 MiB, and what an allocator may do differently. The entries themselves come to 60 MiB.
const ROOM_KIB: u64 = 24 << 10;
/// Appends under way, as many as an ingress at its busiest.
const AT_ONCE: usize = 1_000;

/// The most that was ever resident of this process, which runs no other test.
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
    let (mut last, mut drained) = (0, 0);
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
    assert!(many <= few + ROOM_KIB, "{few} KiB became {many} KiB");
}
