//! The journal file, so that a simulator that was killed goes on with the same records.
//!
//! It holds one JSON object a line, written before the answer leaves. There is no fsync, so it
//! survives the end of the process and not that of the machine.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

use crate::branch::Branch;
use crate::device::Receipt;
use crate::refusal::ProtocolError;
use crate::registration::Registration;
use crate::routes::Call;

/// Longest line that is read. A request is at most 1 MiB and JSON may double it, so every line
/// that is written is shorter.
const MAX_LINE: u64 = 4 << 20;

#[derive(Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub(crate) enum JournalEntry {
    Device(Registration),
    Initialised {
        branch: Branch,
        cmc_key: String,
    },
    Sale {
        branch: Branch,
        body: String,
        receipt: Receipt,
        accepted_at: jiff::Timestamp,
        late: bool,
    },
    /// A write beside sales, as it was sent.
    Write {
        branch: Branch,
        call: Call,
        body: String,
        at: DateTime,
    },
    Mistake(ProtocolError),
    ResendWithoutLookUp,
    Peak(Peak),
    Cleared,
}

/// A new maximum of calls at once, over all devices or on one of them.
#[derive(Serialize, Deserialize)]
pub(crate) struct Peak {
    pub(crate) all: usize,
    pub(crate) device: Option<(Branch, usize)>,
}

/// Where entries are written. Without a file, entries are dropped.
#[derive(Clone, Default)]
pub(crate) struct Journal(Option<Arc<Mutex<Writer>>>);

struct Writer {
    file: File,
    /// Set once a write failed, because an entry after half a line could not be read again.
    broken: bool,
}

/// The entry is not in the journal, and no later one will be.
#[derive(Debug)]
pub(crate) struct JournalBroken;

impl Journal {
    /// Applies the entries of an earlier run, and returns the journal to which this run appends.
    pub(crate) fn open(
        path: &Path,
        apply: impl FnMut(JournalEntry) -> anyhow::Result<()>,
    ) -> anyhow::Result<Self> {
        let file = read(path, apply)?;
        Ok(Self::of(file))
    }

    fn of(file: File) -> Self {
        let writer = Writer {
            file,
            broken: false,
        };
        Self(Some(Arc::new(Mutex::new(writer))))
    }

    pub(crate) fn write(&self, entry: &JournalEntry) -> Result<(), JournalBroken> {
        let Some(writer) = &self.0 else {
            return Ok(());
        };
        let mut line = serde_json::to_vec(entry).expect("entries are plain data");
        line.push(b'\n');

        let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
        if writer.broken {
            return Err(JournalBroken);
        }
        writer.file.write_all(&line).map_err(|error| {
            tracing::error!(%error, "failed to write the journal: no more sales are accepted");
            writer.broken = true;
            JournalBroken
        })
    }
}

/// Applies every whole line, and drops the half line that a kill in the middle of a write leaves.
/// The sale of that line was never answered.
fn read(
    path: &Path,
    mut apply: impl FnMut(JournalEntry) -> anyhow::Result<()>,
) -> anyhow::Result<File> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;

    let mut whole_bytes = 0;
    let mut line = Vec::new();
    let mut line_number = 0;
    let mut lines = BufReader::new(&file);
    while lines.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
        line_number += 1;
        whole_bytes += line.len() as u64;
        serde_json::from_slice(&line)
            .map_err(anyhow::Error::from)
            .and_then(&mut apply)
            .with_context(|| format!("line {line_number}"))?;
        line.clear();
    }

    file.set_len(whole_bytes)?;
    file.seek(SeekFrom::End(0))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_fail_for_good_after_one_failed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        std::fs::write(&path, "").unwrap();

        let read_only = File::open(&path).unwrap();
        let journal = Journal::of(read_only);
        assert!(journal.write(&JournalEntry::Cleared).is_err());
        assert!(journal.clone().write(&JournalEntry::Cleared).is_err());

        let without_file = Journal::default();
        assert!(without_file.write(&JournalEntry::Cleared).is_ok());
    }
}
