//! The files of a spool: their names, who may open them, and where a damaged one goes.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use redb::StorageBackend;
use redb::backends::FileBackend;

use crate::error::StoreError;

const FILE: &str = "spool.redb";
/// A fresh file is made under this name, so that a half-made one is never taken for a damaged one.
const FRESH: &str = "spool.new";
const LOCK: &str = "spool.lock";
const DAMAGED: &str = "spool.damaged-";

/// Where the database file lies. Tests use one that fails on purpose.
pub(crate) trait Medium: Send + 'static {
    type Backend: StorageBackend;

    fn exists(&self) -> io::Result<bool>;

    /// Opens the file, or an empty one under the name for fresh files.
    fn open(&mut self, fresh: bool) -> Result<Self::Backend, StoreError>;

    /// Makes the fresh file the file.
    fn install(&self) -> io::Result<()>;

    /// Gives a damaged file another name, and returns that name.
    fn set_aside(&self) -> io::Result<String>;

    fn damaged_files(&self) -> io::Result<u64>;
}

/// What came of an attempt to take the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lock {
    Held,
    HeldByAnother,
}

pub(crate) struct Disk {
    folder: PathBuf,
    lock: Option<File>,
}

impl Disk {
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            lock: None,
        }
    }

    pub(crate) fn lock_path(&self) -> PathBuf {
        self.folder.join(LOCK)
    }

    /// Keeps other processes out for as long as this value lives.
    pub(crate) fn lock(&mut self) -> io::Result<Lock> {
        if self.lock.is_some() {
            return Ok(Lock::Held);
        }
        let file = owner_only()
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.lock_path())?;
        match file.try_lock() {
            Ok(()) => self.lock = Some(file),
            Err(TryLockError::WouldBlock) => return Ok(Lock::HeldByAnother),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        Ok(Lock::Held)
    }

    fn sync_folder(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }
}

impl Medium for Disk {
    type Backend = FileBackend;

    fn exists(&self) -> io::Result<bool> {
        self.folder.join(FILE).try_exists()
    }

    fn open(&mut self, fresh: bool) -> Result<FileBackend, StoreError> {
        if self.lock()? == Lock::HeldByAnother {
            return Err(StoreError::Disk("held by another process".into()));
        }
        let mut options = owner_only();
        options.read(true).write(true);
        let file = if fresh {
            options
                .create(true)
                .truncate(true)
                .open(self.folder.join(FRESH))?
        } else {
            options.open(self.folder.join(FILE))?
        };
        Ok(FileBackend::new(file)?)
    }

    fn install(&self) -> io::Result<()> {
        File::open(self.folder.join(FRESH))?.sync_all()?;
        fs::rename(self.folder.join(FRESH), self.folder.join(FILE))?;
        self.sync_folder()
    }

    fn set_aside(&self) -> io::Result<String> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let name = format!("{DAMAGED}{}.redb", now.as_nanos());
        fs::rename(self.folder.join(FILE), self.folder.join(&name))?;
        self.sync_folder()?;
        Ok(name)
    }

    fn damaged_files(&self) -> io::Result<u64> {
        let mut count = 0;
        for file in fs::read_dir(&self.folder)? {
            count += u64::from(file?.file_name().to_string_lossy().starts_with(DAMAGED));
        }
        Ok(count)
    }
}

/// Only the owner may read the files, because webhooks name people and what they paid.
fn owner_only() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}
