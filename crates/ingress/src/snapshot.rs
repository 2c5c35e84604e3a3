//! The directory's copy on disk.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use risiti_ledger::Directory;
use risiti_service::BadSetting;

pub(crate) struct Snapshot(PathBuf);

impl Snapshot {
    /// Makes the data directory, for its owner only; a place that cannot be written to is a bad setting.
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

    /// `None` when there is none, or none that can be read: the database has the truth.
    pub(crate) fn load(&self) -> Option<Directory> {
        let text = match fs::read(&self.0) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::error!(%error, "the merchant directory on disk cannot be read");
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

    /// Old or new, never half: written beside, synced, renamed.
    pub(crate) fn store(&self, directory: &Directory) -> io::Result<()> {
        let beside = self.0.with_extension("json.new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(&serde_json::to_vec(directory)?)?;
        file.sync_all()?;
        fs::rename(&beside, &self.0)?;
        let folder = self.0.parent().unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> Directory {
        serde_json::from_str(r#"{"canary":null,"merchants":[]}"#).unwrap()
    }

    #[test]
    fn what_was_stored_is_loaded() {
        let place = tempfile::tempdir().unwrap();
        let snapshot = Snapshot::open(&place.path().join("data")).unwrap();
        assert!(snapshot.load().is_none());
        snapshot.store(&directory()).unwrap();
        assert!(snapshot.load() == Some(directory()));
    }

    #[test]
    fn a_damaged_copy_is_none() {
        let place = tempfile::tempdir().unwrap();
        let snapshot = Snapshot::open(place.path()).unwrap();
        fs::write(place.path().join("directory.json"), "{").unwrap();
        assert!(snapshot.load().is_none());
    }

    #[test]
    fn only_the_owner_may_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let place = tempfile::tempdir().unwrap();
        let snapshot = Snapshot::open(place.path()).unwrap();
        snapshot.store(&directory()).unwrap();
        let mode = fs::metadata(place.path().join("directory.json"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_place_that_is_a_file_is_a_bad_setting() {
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
