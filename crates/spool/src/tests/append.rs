//! What is appended, read, removed and refused while the disk works.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::{LIMIT, contents, open_spool, wait_until};
use crate::{Condition, OpenError, Spool, SpoolError};

#[tokio::test]
async fn entries_survive_a_reopen_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open_spool(folder.path()).await;
    for n in 0..20_u8 {
        spool.append(vec![n; 100]).await.unwrap();
    }
    let first = spool.read(0, 5, usize::MAX).await.unwrap();
    spool.remove(first.iter().map(|entry| entry.number));
    spool.close().await;
    assert_eq!(spool.append(vec![1]).await, Err(SpoolError::Closed));

    let spool = open_spool(folder.path()).await;
    let left: Vec<_> = contents(&spool)
        .await
        .iter()
        .map(|bytes| bytes[0])
        .collect();
    assert_eq!(left, (5..20).collect::<Vec<u8>>());
    let status = wait_until(&spool, |_| true).await;
    assert_eq!((status.entries, status.bytes), (15, 1500));
    assert!(status.oldest.is_some());
    let mode = fs::metadata(folder.path().join("spool.redb"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn read_is_bounded_but_returns_at_least_one_entry() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open_spool(folder.path()).await;
    for _ in 0..3 {
        spool.append(vec![0; 1000]).await.unwrap();
    }
    assert_eq!(spool.read(0, 2, usize::MAX).await.unwrap().len(), 2);
    assert_eq!(spool.read(0, 9, 2000).await.unwrap().len(), 2);
    assert_eq!(spool.read(0, 9, 1).await.unwrap().len(), 1);
    assert_eq!(spool.read(3, 9, 2000).await.unwrap().len(), 0);
}

#[tokio::test]
async fn full_spool_refuses_until_an_entry_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open_spool(folder.path()).await;
    let half = usize::try_from(LIMIT / 2).unwrap();
    spool.append(vec![0; half]).await.unwrap();
    spool.append(vec![0; half]).await.unwrap();
    assert_eq!(spool.append(vec![0]).await, Err(SpoolError::Full));
    wait_until(&spool, |status| {
        status.condition == Condition::Full && status.refused_full == 1
    })
    .await;

    spool.remove([1]);
    wait_until(&spool, |status| {
        status.condition == Condition::Writable && status.entries == 1
    })
    .await;
    spool.append(vec![0; half]).await.unwrap();
}

#[tokio::test]
async fn waiting_appends_share_a_commit() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open_spool(folder.path()).await;
    let before = spool.status().borrow().commits;
    let appends: Vec<_> = (0..500)
        .map(|_| {
            let spool = spool.clone();
            tokio::spawn(async move { spool.append(vec![0; 100]).await })
        })
        .collect();
    for append in appends {
        append.await.unwrap().unwrap();
    }

    let status = wait_until(&spool, |status| status.entries == 500).await;
    let commits = status.commits - before;
    assert!(commits < 100, "{commits} commits for 500 entries");
}

#[tokio::test]
async fn open_spool_cannot_be_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open_spool(folder.path()).await;
    assert!(matches!(
        Spool::open(folder.path(), LIMIT),
        Err(OpenError::Locked(_))
    ));
    spool.close().await;
    open_spool(folder.path()).await;
}
