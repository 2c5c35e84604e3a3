//! A disk small enough to be filled.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A tmpfs over a data folder. It is unmounted when this value is dropped.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts the disk, or returns none where this process may not mount. The folder is empty
    /// afterwards either way.
    pub(crate) fn mount(folder: &Path) -> Option<Self> {
        // A run that was killed may have left its disk mounted.
        while is_mountpoint(folder) && succeeds("umount", &["--lazy"], folder) {}
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder).ok()?;

        let options = ["-t", "tmpfs", "-o", "size=16m,mode=0700", "risiti-chaos"];
        succeeds("mount", &options, folder).then(|| Self(folder.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The ingress may still be exiting with a file open there, hence the lazy unmount.
        if !succeeds("umount", &["--lazy"], &self.0) {
            eprintln!("chaos: failed to unmount {}", self.0.display());
        }
    }
}

fn is_mountpoint(folder: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    mounts
        .lines()
        .any(|line| line.split(' ').nth(1) == folder.to_str())
}

fn succeeds(program: &str, args: &[&str], folder: &Path) -> bool {
    Command::new(program)
        .args(args)
        .arg(folder)
        .output()
        .is_ok_and(|output| output.status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disk_starts_empty_and_is_unmounted_on_drop() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        fs::write(data.join("old"), "x").unwrap();

        let disk = SmallDisk::mount(&data);
        assert_eq!(fs::read_dir(&data).unwrap().count(), 0);
        assert_eq!(disk.is_some(), is_mountpoint(&data));

        drop(disk);
        assert!(!is_mountpoint(&data));
    }
}
