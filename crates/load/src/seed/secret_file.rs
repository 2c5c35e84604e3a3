//! A secret on its way to `risiti-admin`.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// A file beside the fleet's file that only its owner can read. It is removed when dropped.
pub(crate) struct SecretFile(String);

impl SecretFile {
    pub(crate) fn write(beside: &Path, name: &str, secret: &str) -> anyhow::Result<Self> {
        let path = beside.with_extension(name);
        let _ = std::fs::remove_file(&path);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        let written = Self(path.to_string_lossy().into_owned());
        file.write_all(secret.as_bytes())?;
        Ok(written)
    }

    pub(crate) fn path(&self) -> &str {
        &self.0
    }
}

impl Drop for SecretFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
