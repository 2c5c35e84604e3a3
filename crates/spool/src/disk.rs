//! The files: which there are, who may open them, and where a damaged one goes.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use redb::StorageBackend;
use redb::backends::FileBackend;

use crate::error::Trouble;

const FILE: &str = "spool.redb";
/// A fresh file is made under this name: half-made it must not be taken for a damaged one.
const FRESH: &str = "spool.new";
const LOCK: &str = "spool.lock";
const DAMAGED: &str = "spool.damaged-";

/// Where the database lies. Tests put faults between.
pub(crate) trait Medium: Send + 'static {
    type Backend: StorageBackend;

    fn exists(&self) -> io::Result<bool>;
    /// The file, or an empty one under the name for fresh ones.
    fn open(&mut self, fresh: bool) -> Result<Self::Backend, Trouble>;
    /// The fresh file becomes the file.
    fn install(&self) -> io::Result<()>;
    /// Gives a damaged file another name, and returns that.
    fn set_aside(&self) -> io::Result<String>;
    fn damaged_files(&self) -> io::Result<u64>;
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

    /// Keeps others out, as long as this value lives. `Ok(false)`: somebody has it.
    pub(crate) fn lock(&mut self) -> io::Result<bool> {
        if self.lock.is_some() {
            return Ok(true);
        }
        let file = private()
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.lock_path())?;
        match file.try_lock() {
            Ok(()) => self.lock = Some(file),
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        Ok(true)
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

    fn open(&mut self, fresh: bool) -> Result<FileBackend, Trouble> {
        if !self.lock()? {
            return Err(Trouble::Disk("held by another process".into()));
        }
        let mut options = private();
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

/// For the owner only: what is spooled names people and what they paid.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}
