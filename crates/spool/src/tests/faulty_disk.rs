//! A disk that is full or hangs whenever the test says so.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::StorageBackend;
use redb::backends::FileBackend;

use super::{LIMIT, contents, wait_until};
use crate::disk::{Disk, Medium};
use crate::error::StoreError;
use crate::spool::WAITING_BYTES_MAX;
use crate::{Condition, Spool, SpoolError};

#[derive(Clone, Debug, Default)]
struct Faults {
    full: Arc<AtomicBool>,
    hung: Arc<AtomicBool>,
}

struct FaultyDisk {
    disk: Disk,
    faults: Faults,
}

#[derive(Debug)]
struct FaultyFile {
    file: FileBackend,
    faults: Faults,
}

impl FaultyFile {
    fn check_space(&self) -> io::Result<()> {
        if self.faults.full.load(Ordering::SeqCst) {
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
        self.check_space()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        while self.faults.hung.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check_space()?;
        self.file.write(offset, data)
    }
}

impl Medium for FaultyDisk {
    type Backend = FaultyFile;

    fn exists(&self) -> io::Result<bool> {
        self.disk.exists()
    }

    fn open(&mut self, fresh: bool) -> Result<FaultyFile, StoreError> {
        Ok(FaultyFile {
            file: self.disk.open(fresh)?,
            faults: self.faults.clone(),
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

async fn open_on_faulty_disk(folder: &Path) -> (Spool, Faults) {
    let faults = Faults::default();
    let medium = FaultyDisk {
        disk: Disk::new(folder),
        faults: faults.clone(),
    };
    let spool = Spool::with_medium(medium, LIMIT).unwrap();
    wait_until(&spool, |status| status.condition == Condition::Writable).await;
    (spool, faults)
}

#[tokio::test]
async fn removed_entries_stay_removed_after_a_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, faults) = open_on_faulty_disk(folder.path()).await;
    for n in 1..=4_u8 {
        spool.append(vec![n]).await.unwrap();
    }

    faults.full.store(true, Ordering::SeqCst);
    assert!(matches!(
        spool.append(vec![5]).await,
        Err(SpoolError::Disk(_))
    ));
    spool.remove([1, 2]);
    wait_until(&spool, |status| {
        matches!(status.condition, Condition::Failing(_))
    })
    .await;

    faults.full.store(false, Ordering::SeqCst);
    wait_until(&spool, |status| {
        status.condition == Condition::Writable && status.entries == 2
    })
    .await;
    assert_eq!(contents(&spool).await, [[3], [4]]);
    spool.append(vec![6]).await.unwrap();
    assert_eq!(contents(&spool).await, [[3], [4], [6]]);
    assert_eq!(wait_until(&spool, |_| true).await.damaged_files, 0);
}

#[tokio::test]
async fn hanging_disk_can_be_seen() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, faults) = open_on_faulty_disk(folder.path()).await;
    spool.append(vec![1]).await.unwrap();
    assert!(spool.waits_for_disk().is_zero());

    faults.hung.store(true, Ordering::SeqCst);
    let append = tokio::spawn({
        let spool = spool.clone();
        async move { spool.append(vec![2]).await }
    });
    while spool.waits_for_disk().is_zero() {
        tokio::task::yield_now().await;
    }

    faults.hung.store(false, Ordering::SeqCst);
    append.await.unwrap().unwrap();
    assert!(spool.waits_for_disk().is_zero());
}

#[tokio::test]
async fn hanging_disk_keeps_a_bounded_number_of_bytes_waiting() {
    const ENTRY: usize = 256 << 10;
    let folder = tempfile::tempdir().unwrap();
    let (spool, faults) = open_on_faulty_disk(folder.path()).await;

    faults.hung.store(true, Ordering::SeqCst);
    let appends: Vec<_> = (0..2_000)
        .map(|_| {
            let spool = spool.clone();
            tokio::spawn(async move { spool.append(vec![0; ENTRY]).await })
        })
        .collect();
    let mut refused = 0;
    let mut waiting = Vec::new();
    for append in appends {
        tokio::task::yield_now().await;
        if append.is_finished() {
            assert_eq!(append.await.unwrap(), Err(SpoolError::Busy));
            refused += 1;
        } else {
            waiting.push(append);
        }
    }
    assert_eq!(refused, 2_000 - WAITING_BYTES_MAX / ENTRY);

    faults.hung.store(false, Ordering::SeqCst);
    for append in waiting {
        let outcome = append.await.unwrap();
        assert!(matches!(outcome, Ok(()) | Err(SpoolError::Full)));
    }
    let after = spool.append(vec![1]).await;
    assert!(!matches!(after, Err(SpoolError::Busy)), "places come back");
}
