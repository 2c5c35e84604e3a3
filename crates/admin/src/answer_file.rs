//! The file that keeps KRA's answer to an installation until the database has it. KRA gives the key
//! only once, so it must not get lost in between.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use risiti_domain::{DeviceId, Environment};
use risiti_ledger::{Place, Vault};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// The file for the answer about one branch. While this value lives, no other program installs a
/// device of that branch.
#[derive(Debug)]
pub(crate) struct AnswerFile {
    path: PathBuf,
    folder: File,
    /// Never used. Closing it ends the lock.
    _lock: File,
}

/// KRA's answer about a device, not encrypted.
#[derive(Debug)]
pub(crate) struct InstallAnswer {
    pub(crate) device: DeviceId,
    pub(crate) serial: String,
    pub(crate) answer: SecretString,
}

/// The contents of the file.
#[derive(Serialize, Deserialize)]
struct Contents {
    device_id: DeviceId,
    serial: String,
    /// The answer, sealed for `device_id`, in hexadecimal.
    sealed: String,
}

impl AnswerFile {
    /// Makes the folder if it is missing, and locks the branch in it.
    pub(crate) fn open(
        folder: &Path,
        environment: Environment,
        pin: &str,
        branch: &str,
    ) -> Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;

        let name = format!("{environment}-{pin}-{branch}");
        let lock_path = folder.join(format!("{name}.lock"));
        let lock = private()
            .open(&lock_path)
            .with_context(|| cannot_write(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("another program is initialising {name}"),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| cannot_write(&lock_path));
            }
        }
        Ok(Self {
            path: folder.join(format!("{name}.sealed")),
            folder: File::open(folder)?,
            _lock: lock,
        })
    }

    /// Reads the answer of an earlier run, if there is one.
    pub(crate) fn read(&self, vault: &Vault) -> Result<Option<InstallAnswer>> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", self.path.display()));
            }
        };

        let unreadable = || format!("{} holds no readable answer of KRA", self.path.display());
        let contents: Contents = serde_json::from_str(&text).with_context(unreadable)?;
        let sealed = hex::decode(&contents.sealed).with_context(unreadable)?;
        let answer = vault
            .open(place(contents.device_id), &sealed)
            .with_context(unreadable)?;
        Ok(Some(InstallAnswer {
            device: contents.device_id,
            serial: contents.serial,
            answer,
        }))
    }

    /// Writes the answer. When this returns, both the file and its name are safe on disk.
    pub(crate) fn write(&self, answer: &InstallAnswer, vault: &Vault) -> Result<()> {
        let sealed = hex::encode(vault.seal(place(answer.device), &answer.answer)?);
        let contents = Contents {
            device_id: answer.device,
            serial: answer.serial.clone(),
            sealed,
        };

        // A crash while writing leaves a draft, which is never read.
        let draft = self.path.with_extension("draft");
        let write = || {
            let mut file = private().truncate(true).open(&draft)?;
            file.write_all(&serde_json::to_vec(&contents)?)?;
            file.sync_all()?;
            fs::rename(&draft, &self.path)?;
            self.folder.sync_all()
        };
        write().with_context(|| cannot_write(&self.path))
    }

    /// Removes the file. It may be missing.
    pub(crate) fn remove(&self) -> Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", self.path.display()))
            }
            _ => Ok(self.folder.sync_all()?),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Options to write a file that only its owner may read.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write {}", path.display())
}

/// What the vault seals the answer for.
fn place(device: DeviceId) -> Place {
    Place {
        column: "initialise.answer",
        row: device.uuid(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use secrecy::ExposeSecret as _;
    use uuid::Uuid;

    use super::*;

    fn vault() -> Vault {
        Vault::new(&"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=".into(), None).unwrap()
    }

    fn answer() -> InstallAnswer {
        InstallAnswer {
            device: DeviceId::from_uuid(Uuid::from_u128(5)),
            serial: "SN1".to_owned(),
            answer: "the-cmc-key".into(),
        }
    }

    fn open(folder: &Path) -> Result<AnswerFile> {
        AnswerFile::open(folder, Environment::Sandbox, "P051234567X", "00")
    }

    #[test]
    fn answer_can_be_read_until_it_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let file = open(&folder.path().join("new")).unwrap();
        assert!(file.read(&vault()).unwrap().is_none());

        file.write(&answer(), &vault()).unwrap();
        let found = file.read(&vault()).unwrap().unwrap();
        assert_eq!(
            (found.device, found.serial.as_str()),
            (answer().device, "SN1")
        );
        assert_eq!(found.answer.expose_secret(), "the-cmc-key");

        file.remove().unwrap();
        file.remove().unwrap();
        assert!(file.read(&vault()).unwrap().is_none());
    }

    #[test]
    fn answer_file_is_private_and_shows_no_key() {
        let folder = tempfile::tempdir().unwrap();
        let file = open(folder.path()).unwrap();
        file.write(&answer(), &vault()).unwrap();
        let mode = fs::metadata(file.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!fs::read_to_string(file.path()).unwrap().contains("cmc-key"));
    }

    #[test]
    fn branch_is_locked_while_its_file_is_open() {
        let folder = tempfile::tempdir().unwrap();
        let first = open(folder.path()).unwrap();
        assert!(
            open(folder.path())
                .unwrap_err()
                .to_string()
                .contains("another program")
        );
        drop(first);
        open(folder.path()).unwrap();
    }

    #[test]
    fn another_key_does_not_open_the_answer() {
        let folder = tempfile::tempdir().unwrap();
        let file = open(folder.path()).unwrap();
        file.write(&answer(), &vault()).unwrap();
        let other =
            Vault::new(&"AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=".into(), None).unwrap();
        assert!(file.read(&other).is_err());
    }
}
