use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::StorageBackend;
use redb::backends::FileBackend;

use crate::disk::{Disk, Medium};
use crate::error::Trouble;
use crate::{Condition, OpenError, Spool, SpoolError, Status};

const LIMIT: u64 = 1 << 20;

async fn opened(folder: &Path) -> Spool {
    let spool = Spool::open(folder, LIMIT).unwrap();
    until(&spool, |status| status.condition == Condition::Writable).await;
    spool
}

async fn until(spool: &Spool, wanted: impl FnMut(&Status) -> bool) -> Status {
    let mut status = spool.status();
    let waiting = status.wait_for(wanted);
    tokio::time::timeout(std::time::Duration::from_secs(20), waiting)
        .await
        .unwrap()
        .unwrap()
        .clone()
}

async fn contents(spool: &Spool) -> Vec<Vec<u8>> {
    let entries = spool.read(0, usize::MAX, usize::MAX).await.unwrap();
    entries.into_iter().map(|entry| entry.bytes).collect()
}

#[tokio::test]
async fn what_was_appended_is_there_in_order_after_it_was_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let spool = opened(folder.path()).await;
    for n in 0..20_u8 {
        spool.append(vec![n; 100]).await.unwrap();
    }
    let first = spool.read(0, 5, usize::MAX).await.unwrap();
    spool.remove(first.iter().map(|entry| entry.number));
    spool.close().await;
    assert_eq!(spool.append(vec![1]).await, Err(SpoolError::Closed));

    let spool = opened(folder.path()).await;
    let there: Vec<_> = contents(&spool)
        .await
        .iter()
        .map(|bytes| bytes[0])
        .collect();
    assert_eq!(there, (5..20).collect::<Vec<u8>>());
    let status = until(&spool, |_| true).await;
    assert_eq!((status.entries, status.bytes), (15, 1500));
    assert!(status.oldest.is_some());
    let mode = fs::metadata(folder.path().join("spool.redb"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_read_is_bounded_in_entries_and_bytes_and_never_stuck() {
    let folder = tempfile::tempdir().unwrap();
    let spool = opened(folder.path()).await;
    for _ in 0..3 {
        spool.append(vec![0; 1000]).await.unwrap();
    }
    assert_eq!(spool.read(0, 2, usize::MAX).await.unwrap().len(), 2);
    assert_eq!(spool.read(0, 9, 2000).await.unwrap().len(), 2);
    assert_eq!(spool.read(0, 9, 1).await.unwrap().len(), 1);
    assert_eq!(spool.read(3, 9, 2000).await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_full_spool_refuses_until_something_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let spool = opened(folder.path()).await;
    let half = usize::try_from(LIMIT / 2).unwrap();
    spool.append(vec![0; half]).await.unwrap();
    spool.append(vec![0; half]).await.unwrap();
    assert_eq!(spool.append(vec![0]).await, Err(SpoolError::Full));
    until(&spool, |status| {
        status.condition == Condition::Full && status.refused_full == 1
    })
    .await;
    spool.remove([1]);
    until(&spool, |status| {
        status.condition == Condition::Writable && status.entries == 1
    })
    .await;
    spool.append(vec![0; half]).await.unwrap();
}

#[tokio::test]
async fn what_waits_shares_a_commit() {
    let folder = tempfile::tempdir().unwrap();
    let spool = opened(folder.path()).await;
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
    let commits = until(&spool, |status| status.entries == 500).await.commits - before;
    assert!(commits < 100, "{commits} commits for 500 entries");
}

#[tokio::test]
async fn one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let spool = opened(folder.path()).await;
    assert!(matches!(
        Spool::open(folder.path(), LIMIT),
        Err(OpenError::Locked(_))
    ));
    spool.close().await;
    opened(folder.path()).await;
}

#[tokio::test]
async fn a_file_of_a_newer_release_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    opened(folder.path()).await.close().await;
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
    let status = until(&spool, |status| {
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

/// A file cut off or garbled anywhere holds all that was acknowledged, or is known to be damaged: never silently less.
#[tokio::test]
async fn damage_anywhere_is_recognised_or_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let spool = opened(folder.path()).await;
    for n in 0..20_u8 {
        spool.append(vec![n; 1500]).await.unwrap();
    }
    let whole = fs::read(folder.path().join("spool.redb")).unwrap();
    drop(spool);
    let (mut damaged, pages) = (0, whole.len() / 4096);
    for page in 0..2 * pages {
        let copy = tempfile::tempdir().unwrap();
        let mut bytes = whole.clone();
        if page < pages {
            // The first page's head says which state is current: beyond what any checksum in the file can guard.
            let start = if page == 0 { 512 } else { page * 4096 };
            bytes[start..(page + 1) * 4096].fill(0xa5);
        } else {
            bytes.truncate((page - pages) * 4096 + 17);
        }
        fs::write(copy.path().join("spool.redb"), bytes).unwrap();
        let spool = opened(copy.path()).await;
        let aside = spool.status().borrow().damaged_files;
        damaged += aside;
        let count = contents(&spool).await.len();
        assert_eq!(
            count,
            if aside == 1 { 0 } else { 20 },
            "page {page} of {pages}"
        );
        spool.append(vec![1]).await.unwrap();
        spool.close().await;
    }
    assert!(
        damaged as usize > pages,
        "{damaged} of {} recognised",
        2 * pages
    );
}

/// A disk that is full, or hangs, whenever the test says so.
struct Faulty {
    disk: Disk,
    full: Arc<AtomicBool>,
    hung: Arc<AtomicBool>,
}

#[derive(Debug)]
struct FaultyFile {
    file: FileBackend,
    full: Arc<AtomicBool>,
    hung: Arc<AtomicBool>,
}

impl FaultyFile {
    fn room(&self) -> io::Result<()> {
        if self.full.load(Ordering::SeqCst) {
            Err(ErrorKind::StorageFull.into())
        } else {
            Ok(())
        }
    }
}

impl StorageBackend for FaultyFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.room()?;
        self.file.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        while self.hung.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        self.file.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.room()?;
        self.file.write(offset, data)
    }
}

impl Medium for Faulty {
    type Backend = FaultyFile;
    fn exists(&self) -> io::Result<bool> {
        self.disk.exists()
    }
    fn open(&mut self, fresh: bool) -> Result<FaultyFile, Trouble> {
        let (full, hung) = (Arc::clone(&self.full), Arc::clone(&self.hung));
        Ok(FaultyFile {
            file: self.disk.open(fresh)?,
            full,
            hung,
        })
    }
    fn install(&self) -> io::Result<()> {
        self.disk.install()
    }
    fn set_aside(&self) -> io::Result<String> {
        self.disk.set_aside()
    }
    fn damaged_files(&self) -> io::Result<u64> {
        self.disk.damaged_files()
    }
}

#[tokio::test]
async fn a_full_disk_heals_and_nothing_delivered_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let full = Arc::new(AtomicBool::new(false));
    let medium = Faulty {
        disk: Disk::new(folder.path()),
        full: Arc::clone(&full),
        hung: Arc::default(),
    };
    let spool = Spool::over(medium, LIMIT).unwrap();
    until(&spool, |status| status.condition == Condition::Writable).await;
    for n in 1..=4_u8 {
        spool.append(vec![n]).await.unwrap();
    }
    full.store(true, Ordering::SeqCst);
    assert!(matches!(
        spool.append(vec![5]).await,
        Err(SpoolError::Disk(_))
    ));
    spool.remove([1, 2]);
    until(&spool, |status| {
        matches!(status.condition, Condition::Failing(_))
    })
    .await;
    full.store(false, Ordering::SeqCst);
    until(&spool, |status| {
        status.condition == Condition::Writable && status.entries == 2
    })
    .await;
    assert_eq!(contents(&spool).await, [[3], [4]]);
    spool.append(vec![6]).await.unwrap();
    assert_eq!(contents(&spool).await, [[3], [4], [6]]);
    assert_eq!(until(&spool, |_| true).await.damaged_files, 0);
}

#[tokio::test]
async fn a_disk_that_hangs_can_be_seen() {
    let folder = tempfile::tempdir().unwrap();
    let hung = Arc::new(AtomicBool::new(false));
    let medium = Faulty {
        disk: Disk::new(folder.path()),
        full: Arc::default(),
        hung: Arc::clone(&hung),
    };
    let spool = Spool::over(medium, LIMIT).unwrap();
    until(&spool, |status| status.condition == Condition::Writable).await;
    spool.append(vec![1]).await.unwrap();
    assert!(spool.waits_for_disk().is_zero());
    hung.store(true, Ordering::SeqCst);
    let append = tokio::spawn({
        let spool = spool.clone();
        async move { spool.append(vec![2]).await }
    });
    while spool.waits_for_disk().is_zero() {
        tokio::task::yield_now().await;
    }
    hung.store(false, Ordering::SeqCst);
    append.await.unwrap().unwrap();
    assert!(spool.waits_for_disk().is_zero());
}
