//! A real disk that is full. Entries are refused, draining goes on, and the spool recovers once
//! there is space again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use risiti_spool::{Condition, Spool, SpoolError, Status};

const ENTRY_BYTES: usize = 16 << 10;

/// A file system of 4 MiB in memory, which is unmounted when the value is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Option<Self> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m", "none"])
            .arg(at)
            .output();
        mounted
            .is_ok_and(|output| output.status.success())
            .then(|| Self(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}

async fn wait_until(spool: &Spool, what: &str, wanted: impl FnMut(&Status) -> bool) {
    let mut status = spool.status();
    let waiting = tokio::time::timeout(Duration::from_secs(30), status.wait_for(wanted)).await;
    assert!(
        matches!(waiting, Ok(Ok(_))),
        "{what}: {:?}",
        spool.status().borrow()
    );
}

#[tokio::test]
async fn full_disk_refuses_appends_and_still_drains() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(folder.path()) else {
        eprintln!("SKIPPED: this user may not mount a tmpfs, so no disk was really full");
        return;
    };
    let spool = Spool::open(&disk.0, 1 << 30).unwrap();
    wait_until(&spool, "the spool opens", |status| {
        status.condition == Condition::Writable
    })
    .await;

    let mut stored: u64 = 0;
    let refused = loop {
        match spool.append(vec![0x5a; ENTRY_BYTES]).await {
            Ok(()) => stored += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, SpoolError::Disk(_)), "{refused:?}");
    assert!(stored > 20, "{stored}");
    // The filler takes every byte that is left.
    fs::write(disk.0.join("filler"), vec![0; 4 << 20]).unwrap_err();

    // The entries can be read and removed, whether or not the disk lets them be deleted.
    let mut after = 0;
    for _ in 0..stored {
        let entry = loop {
            match spool.read(after, 1, usize::MAX).await {
                Ok(entries) => break entries.into_iter().next().unwrap(),
                Err(_) => {
                    wait_until(&spool, "the spool can be read", |s| {
                        s.condition == Condition::Writable
                    })
                    .await
                }
            }
        };
        assert_eq!(entry.bytes.len(), ENTRY_BYTES);
        after = entry.number;
        spool.remove([entry.number]);
    }

    fs::remove_file(disk.0.join("filler")).unwrap();
    wait_until(&spool, "all entries are deleted", |status| {
        status.condition == Condition::Writable && (status.entries, status.bytes) == (0, 0)
    })
    .await;

    // redb uses freed pages again only from the second commit after, so the first tries may fail.
    let mut tries = 0;
    while spool.append(vec![1]).await.is_err() {
        wait_until(&spool, "the spool takes entries", |status| {
            status.condition == Condition::Writable
        })
        .await;
        tries += 1;
        assert!(
            tries < 10,
            "an empty spool takes nothing: {:?}",
            spool.status().borrow()
        );
    }
    assert_eq!(spool.read(0, 9, usize::MAX).await.unwrap().len(), 1);
    assert_eq!(spool.status().borrow().damaged_files, 0);
    spool.close().await;
}
