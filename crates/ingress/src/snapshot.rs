//! The copy of the merchant directory on disk.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use risiti_ledger::Directory;
use risiti_service::BadSetting;
use tokio::sync::watch;

/// A disk that takes longer for the copy is worth a warning.
const SLOW_STORE: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub(crate) struct Snapshot(PathBuf);

/// Stores directories in the background, one at a time.
///
/// While one is being stored, only the newest of the others waits. So a disk that hangs holds up
/// nobody, and costs the memory of two directories.
pub(crate) struct SnapshotWriter(watch::Sender<Option<Arc<Directory>>>);

impl Snapshot {
    /// Makes the data directory, for its owner only. A place that cannot be written to is a bad
    /// setting.
    pub(crate) fn open(data_dir: &Path) -> Result<Self, BadSetting> {
        let bad = |error: io::Error| {
            BadSetting::new(
                "--data-dir (RISITI_DATA_DIR)",
                format!("{}: {error}", data_dir.display()),
            )
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(data_dir)
            .map_err(bad)?;
        tighten(data_dir).map_err(bad)?;
        Ok(Self(data_dir.join("directory.json")))
    }

    /// Loads the copy. It is `None` when there is no readable copy, because the database has the
    /// truth.
    pub(crate) fn load(&self) -> Option<Directory> {
        let text = match fs::read(&self.0) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::error!(%error, "failed to read the merchant directory on disk");
                return None;
            }
        };
        match serde_json::from_slice(&text) {
            Ok(directory) => Some(directory),
            Err(_) => {
                tracing::error!(
                    "the merchant directory on disk is damaged; waiting for the database"
                );
                None
            }
        }
    }

    /// Replaces the copy. It is written to another file, synced and renamed, so a crash leaves the
    /// old copy or the new one.
    pub(crate) fn store(&self, directory: &Directory) -> io::Result<()> {
        let new_file = self.0.with_extension("json.new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new_file)?;
        file.write_all(&serde_json::to_vec(directory)?)?;
        file.sync_all()?;

        fs::rename(&new_file, &self.0)?;
        let folder = self.0.parent().unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    }
}

/// Takes the rights of others away from a directory that was there before. It holds webhooks with
/// payers' phones.
fn tighten(data_dir: &Path) -> io::Result<()> {
    const STICKY: u32 = 0o1000;
    let mode = fs::metadata(data_dir)?.permissions().mode();
    // A directory with the sticky bit, like /tmp, is everybody's.
    if mode & 0o077 == 0 || mode & STICKY != 0 {
        return Ok(());
    }
    let folder = data_dir.display();
    match fs::set_permissions(data_dir, Permissions::from_mode(0o700)) {
        Ok(()) => tracing::info!("others had rights to the data directory {folder}: taken away"),
        Err(error) => tracing::warn!(%error, "others have rights to the data directory {folder}"),
    }
    Ok(())
}

impl SnapshotWriter {
    pub(crate) fn start(snapshot: Snapshot) -> Self {
        let (sender, mut newest) = watch::channel(None::<Arc<Directory>>);
        tokio::spawn(async move {
            while newest.changed().await.is_ok() {
                let directory = newest.borrow_and_update().clone();
                if let Some(directory) = directory {
                    store_in_background(snapshot.clone(), directory).await;
                }
            }
        });
        Self(sender)
    }

    /// Hands over a directory, and waits for nothing.
    pub(crate) fn store(&self, directory: Arc<Directory>) {
        self.0.send_replace(Some(directory));
    }
}

/// Writes and fsyncs on a thread that may block.
async fn store_in_background(snapshot: Snapshot, directory: Arc<Directory>) {
    let mut storing = tokio::task::spawn_blocking(move || snapshot.store(&directory));
    let stored = match tokio::time::timeout(SLOW_STORE, &mut storing).await {
        Ok(stored) => stored,
        Err(_) => {
            tracing::warn!("the disk has not taken the merchant directory for {SLOW_STORE:?}");
            storing.await
        }
    };
    match stored {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::error!(%error, "failed to store the merchant directory on disk");
        }
        // The panic hook has logged it.
        Err(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> Directory {
        serde_json::from_str(r#"{"canary":null,"merchants":[]}"#).unwrap()
    }

    #[test]
    fn stored_copy_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let snapshot = Snapshot::open(&folder.path().join("data")).unwrap();
        assert!(snapshot.load().is_none());
        snapshot.store(&directory()).unwrap();
        assert!(snapshot.load() == Some(directory()));
    }

    #[test]
    fn damaged_copy_is_not_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let snapshot = Snapshot::open(folder.path()).unwrap();
        fs::write(folder.path().join("directory.json"), "{").unwrap();
        assert!(snapshot.load().is_none());
    }

    #[test]
    fn directory_that_was_there_loses_the_rights_of_others() {
        let folder = tempfile::tempdir().unwrap();
        let mode = || fs::metadata(folder.path()).unwrap().permissions().mode() & 0o7777;
        for (before, after) in [
            (0o755, 0o700),
            (0o770, 0o700),
            (0o700, 0o700),
            (0o1777, 0o1777),
        ] {
            fs::set_permissions(folder.path(), Permissions::from_mode(before)).unwrap();
            Snapshot::open(folder.path()).unwrap();
            assert_eq!(mode(), after, "{before:o}");
        }
    }

    #[test]
    fn only_the_owner_may_read_the_copy() {
        let folder = tempfile::tempdir().unwrap();
        let snapshot = Snapshot::open(folder.path()).unwrap();
        snapshot.store(&directory()).unwrap();
        let mode = fs::metadata(folder.path().join("directory.json"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn data_directory_that_is_a_file_is_a_bad_setting() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Snapshot::open(file.path()).err().unwrap();
        assert!(
            error
                .to_string()
                .starts_with("--data-dir (RISITI_DATA_DIR): "),
            "{error}"
        );
    }
}
