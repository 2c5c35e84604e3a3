//! The copy of the merchant directory on disk.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use risiti_ledger::Directory;
use risiti_service::BadSetting;

pub(crate) struct Snapshot(PathBuf);

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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

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
