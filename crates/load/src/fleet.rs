//! The merchants of a storm. `seed` makes and writes them, and the other commands read them.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// It holds secrets, so it has no `Debug`, and only the owner can read its file.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct Fleet {
    pub(crate) merchants: Vec<Merchant>,
}

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct Merchant {
    pub(crate) slug: String,
    /// The secret part of the addresses for Daraja and Gumroad.
    pub(crate) webhook_secret: String,
    pub(crate) short_codes: Vec<String>,
    /// Any of these keys may sign. There are none where the merchant has no Paystack.
    pub(crate) paystack_keys: Vec<String>,
    pub(crate) gumroad_seller: Option<String>,
    /// A merchant without devices owes no receipts.
    pub(crate) devices: Vec<Device>,
}

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct Device {
    pub(crate) device_id: String,
    pub(crate) pin: String,
    pub(crate) branch: String,
}

impl Device {
    /// The name by which the simulator knows the device.
    pub(crate) fn sim_name(&self) -> String {
        format!("{}/{}", self.pin, self.branch)
    }
}

impl Fleet {
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let file =
            File::open(path).with_context(|| format!("failed to open {}", path.display()))?;
        serde_json::from_reader(std::io::BufReader::new(file)).with_context(|| {
            format!(
                "{} is not a fleet written by `risiti-load seed`",
                path.display()
            )
        })
    }

    /// Replaces the file in one step.
    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let write = || -> anyhow::Result<()> {
            let temporary = path.with_extension("new");
            let _ = std::fs::remove_file(&temporary);
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&temporary)?;
            serde_json::to_writer_pretty(&mut file, self)?;
            file.flush()?;
            std::fs::rename(&temporary, path)?;
            Ok(())
        };
        write().with_context(|| format!("failed to write {}", path.display()))
    }

    pub(crate) fn slugs(&self) -> Vec<String> {
        self.merchants
            .iter()
            .map(|merchant| merchant.slug.clone())
            .collect()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    pub(crate) fn sample() -> Fleet {
        let merchant = |slug: &str, short_codes: &[&str], devices: &[&str]| Merchant {
            slug: slug.to_owned(),
            webhook_secret: "ab".repeat(20),
            short_codes: short_codes.iter().map(|code| (*code).to_owned()).collect(),
            paystack_keys: vec![format!("sk_live_{slug}")],
            gumroad_seller: Some(format!("{slug}==")).filter(|_| !devices.is_empty()),
            devices: devices
                .iter()
                .map(|branch| Device {
                    device_id: format!("{slug}-{branch}"),
                    pin: "P051000001X".to_owned(),
                    branch: (*branch).to_owned(),
                })
                .collect(),
        };
        Fleet {
            merchants: vec![
                merchant("duka", &["600001", "600002"], &["00", "01"]),
                merchant("soko", &["600003"], &[]),
            ],
        }
    }

    #[test]
    fn only_the_owner_can_read_the_written_fleet() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fleet.json");
        sample().write(&path).unwrap();
        sample().write(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let read = Fleet::read(&path).unwrap();
        assert_eq!(read.slugs(), ["duka", "soko"]);
        assert_eq!(read.merchants[0].devices[1].sim_name(), "P051000001X/01");
    }
}
