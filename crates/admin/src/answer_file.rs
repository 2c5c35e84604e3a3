//! KRA's answer to an initialisation, kept on disk until the database has it. KRA hands the key out once.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use risiti_domain::{DeviceId, Environment};
use risiti_ledger::{Place, Vault};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// The place of one branch's answer. While this value lives, no other program initialises that branch.
#[derive(Debug)]
pub(crate) struct Keep {
    path: PathBuf,
    folder: File,
    /// Held, not used: closing it ends the lock.
    _lock: File,
}

/// A kept answer, opened.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) device: DeviceId,
    pub(crate) serial: String,
    pub(crate) answer: SecretString,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    device_id: DeviceId,
    serial: String,
    /// Sealed for `device_id`, as hexadecimal.
    sealed: String,
}

impl Keep {
    /// Makes the folder where it is missing and locks the branch's place in it.
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
            Err(TryLockError::WouldBlock) => bail!("another program initialises {name} right now"),
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

    /// What an earlier run left behind.
    pub(crate) fn read(&self, vault: &Vault) -> Result<Option<Kept>> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", self.path.display()));
            }
        };
        let unreadable = || {
            format!(
                "{} is not an answer that was kept here",
                self.path.display()
            )
        };
        let stored: Stored = serde_json::from_str(&text).with_context(unreadable)?;
        let sealed = hex::decode(&stored.sealed).with_context(unreadable)?;
        let answer = vault
            .open(place(stored.device_id), &sealed)
            .with_context(unreadable)?;
        Ok(Some(Kept {
            device: stored.device_id,
            serial: stored.serial,
            answer,
        }))
    }

    /// Returns once the answer is safe on disk, name and all.
    pub(crate) fn write(&self, kept: &Kept, vault: &Vault) -> Result<()> {
        let sealed = hex::encode(vault.seal(place(kept.device), &kept.answer)?);
        let stored = Stored {
            device_id: kept.device,
            serial: kept.serial.clone(),
            sealed,
        };
        let draft = self.path.with_extension("draft");
        let write = || {
            let mut file = private().truncate(true).open(&draft)?;
            file.write_all(&serde_json::to_vec(&stored)?)?;
            file.sync_all()?;
            fs::rename(&draft, &self.path)?;
            self.folder.sync_all()
        };
        write().with_context(|| cannot_write(&self.path))
    }

    /// Once the database has the answer.
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

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write {}", path.display())
}

fn place(device: DeviceId) -> Place {
    Place {
        column: "initialise.answer",
        row: device.uuid(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;
    use std::os::unix::fs::PermissionsExt as _;
    use uuid::Uuid;

    fn vault() -> Vault {
        Vault::new(&"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=".into(), None).unwrap()
    }

    fn kept() -> Kept {
        Kept {
            device: DeviceId::from_uuid(Uuid::from_u128(5)),
            serial: "SN1".to_owned(),
            answer: "the-cmc-key".into(),
        }
    }

    fn open(folder: &Path) -> Result<Keep> {
        Keep::open(folder, Environment::Sandbox, "P051234567X", "00")
    }

    #[test]
    fn an_answer_is_there_until_it_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let keep = open(&folder.path().join("new")).unwrap();
        assert!(keep.read(&vault()).unwrap().is_none());

        keep.write(&kept(), &vault()).unwrap();
        let found = keep.read(&vault()).unwrap().unwrap();
        assert_eq!(
            (found.device, found.serial.as_str()),
            (kept().device, "SN1")
        );
        assert_eq!(found.answer.expose_secret(), "the-cmc-key");

        keep.remove().unwrap();
        keep.remove().unwrap();
        assert!(keep.read(&vault()).unwrap().is_none());
    }

    #[test]
    fn only_its_owner_may_read_it_and_it_shows_no_key() {
        let folder = tempfile::tempdir().unwrap();
        let keep = open(folder.path()).unwrap();
        keep.write(&kept(), &vault()).unwrap();
        let mode = fs::metadata(keep.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!fs::read_to_string(keep.path()).unwrap().contains("cmc-key"));
    }

    #[test]
    fn one_program_at_a_time_per_branch() {
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
    fn another_key_does_not_open_it() {
        let folder = tempfile::tempdir().unwrap();
        let keep = open(folder.path()).unwrap();
        keep.write(&kept(), &vault()).unwrap();
        let other =
            Vault::new(&"AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=".into(), None).unwrap();
        assert!(keep.read(&other).is_err());
    }
}
