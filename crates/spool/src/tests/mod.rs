mod append;
mod damage;
mod faulty_disk;

use std::path::Path;
use std::time::Duration;

use crate::{Condition, Spool, Status};

const LIMIT: u64 = 1 << 20;

async fn open_spool(folder: &Path) -> Spool {
    let spool = Spool::open(folder, LIMIT).unwrap();
    wait_until(&spool, |status| status.condition == Condition::Writable).await;
    spool
}

async fn wait_until(spool: &Spool, wanted: impl FnMut(&Status) -> bool) -> Status {
    let mut status = spool.status();
    let waiting = status.wait_for(wanted);
    tokio::time::timeout(Duration::from_secs(20), waiting)
        .await
        .unwrap()
        .unwrap()
        .clone()
}

async fn contents(spool: &Spool) -> Vec<Vec<u8>> {
    let entries = spool.read(0, usize::MAX, usize::MAX).await.unwrap();
    entries.into_iter().map(|entry| entry.bytes).collect()
}
