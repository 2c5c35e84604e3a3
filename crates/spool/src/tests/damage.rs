//! Files that a newer release wrote, or that were cut off or changed.

use std::fs;

use super::{LIMIT, contents, open_spool, wait_until};
use crate::{Condition, Spool};

const PAGE_BYTES: usize = 4096;

#[tokio::test]
async fn file_of_a_newer_release_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    open_spool(folder.path()).await.close().await;
    let facts = redb::TableDefinition::<&str, u64>::new("facts");
    let database = redb::Database::open(folder.path().join("spool.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction
        .open_table(facts)
        .unwrap()
        .insert("format", 2)
        .unwrap();
    transaction.commit().unwrap();
    drop(database);

    let spool = Spool::open(folder.path(), LIMIT).unwrap();
    let status = wait_until(&spool, |status| {
        matches!(status.condition, Condition::Foreign(_))
    })
    .await;
    assert_eq!(
        status.condition,
        Condition::Foreign("it has format 2, and this release knows 1".into())
    );
    assert!(spool.append(vec![1]).await.is_err());
    assert!(folder.path().join("spool.redb").exists());
}

/// A file that is cut off or garbled anywhere either holds all that was acknowledged or is
/// recognised as damaged. It never silently holds less.
#[tokio::test]
async fn damage_anywhere_is_recognised_or_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open_spool(folder.path()).await;
    for n in 0..20_u8 {
        spool.append(vec![n; 1500]).await.unwrap();
    }
    let whole = fs::read(folder.path().join("spool.redb")).unwrap();
    drop(spool);

    let pages = whole.len() / PAGE_BYTES;
    let mut recognised = 0;
    for page in 0..pages {
        recognised += check_damaged(garbled(&whole, page), page).await;
    }
    for page in 0..pages {
        let cut_off = whole[..page * PAGE_BYTES + 17].to_vec();
        recognised += check_damaged(cut_off, pages + page).await;
    }
    assert!(
        recognised as usize > pages,
        "{recognised} of {} recognised",
        2 * pages
    );
}

/// Overwrites a page. The head of the first page says which state is current, and no checksum in
/// the file guards that, so it stays.
fn garbled(whole: &[u8], page: usize) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    let start = if page == 0 { 512 } else { page * PAGE_BYTES };
    bytes[start..(page + 1) * PAGE_BYTES].fill(0xa5);
    bytes
}

/// Opens a damaged file. Returns 1 if the damage was recognised, and 0 if it was harmless.
async fn check_damaged(bytes: Vec<u8>, case: usize) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("spool.redb"), bytes).unwrap();
    let spool = open_spool(folder.path()).await;
    let damaged_files = spool.status().borrow().damaged_files;
    let count = contents(&spool).await.len();
    let expected = if damaged_files == 1 { 0 } else { 20 };
    assert_eq!(count, expected, "case {case}");
    spool.append(vec![1]).await.unwrap();
    spool.close().await;
    damaged_files
}
