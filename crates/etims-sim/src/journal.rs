//! The records on disk, so that a simulator that was killed goes on as the same authority.
//!
//! One JSON object a line, written before the answer leaves. Without fsync: it survives the process, not the machine.

use crate::config::Config;
use crate::control::Registration;
use crate::device::{Device, FiledSale, HiddenUntil, Receipt};
use crate::fields::Fields;
use crate::records::{Branch, KraRecords};
use crate::sale::{Sale, SaleRules};
use crate::tax::Rates;
use crate::traffic::{ProtocolError, Traffic};
use anyhow::{Context, anyhow};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Longer than any line that is written: a request is at most 1 MiB, and JSON may double it.
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
    Mistake(ProtocolError),
    ResendWithoutLookUp,
    Peak {
        all: usize,
        device: Option<(Branch, usize)>,
    },
    Cleared,
}

/// Where entries go; nowhere unless the simulator was given a file.
#[derive(Clone, Default)]
pub(crate) struct Journal(Option<Arc<Mutex<Writer>>>);

struct Writer {
    file: File,
    /// A write failed: what follows half a line could not be read again.
    broken: bool,
}

impl Journal {
    /// Whether the entry is safe. After a failure nothing is any more.
    pub(crate) fn write(&self, entry: &JournalEntry) -> bool {
        let Some(writer) = &self.0 else { return true };
        let mut line = serde_json::to_vec(entry).expect("entries are plain data");
        line.push(b'\n');
        let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
        if !writer.broken
            && let Err(error) = writer.file.write_all(&line)
        {
            tracing::error!(%error, "the journal cannot be written: no sale is accepted any more");
            writer.broken = true;
        }
        !writer.broken
    }
}

/// Reads what an earlier run left in the file of the settings, if there is one, and goes on writing there.
///
/// # Errors
/// When the file cannot be opened, or holds what these settings would not have accepted.
pub(crate) fn open(config: &Config) -> anyhow::Result<(KraRecords, Traffic)> {
    let (mut records, mut traffic) = (KraRecords::default(), Traffic::default());
    let Some(path) = &config.journal else {
        return Ok((records, traffic));
    };
    let file = read(path, |entry| apply(entry, config, &mut records, &traffic))
        .with_context(|| format!("the journal {}", path.display()))?;
    let journal = Journal(Some(Arc::new(Mutex::new(Writer {
        file,
        broken: false,
    }))));
    records.journal = journal.clone();
    traffic.journal = journal;
    Ok((records, traffic))
}

/// Drops the half line that a kill in mid-write leaves: its sale was not answered.
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
    let (mut whole, mut line, mut number) = (0, Vec::new(), 0);
    let mut lines = BufReader::new(&file);
    while lines.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
        number += 1;
        whole += line.len() as u64;
        serde_json::from_slice(&line)
            .map_err(anyhow::Error::from)
            .and_then(&mut apply)
            .with_context(|| format!("line {number}"))?;
        line.clear();
    }
    file.set_len(whole)?;
    file.seek(SeekFrom::End(0))?;
    Ok(file)
}

fn apply(
    entry: JournalEntry,
    config: &Config,
    records: &mut KraRecords,
    traffic: &Traffic,
) -> anyhow::Result<()> {
    match entry {
        JournalEntry::Device(wanted) => {
            let branch = wanted.branch();
            let device = Device::new(&branch, wanted, config.seed);
            records.devices.insert(branch, device);
        }
        JournalEntry::Initialised { branch, cmc_key } => {
            let device = records
                .devices
                .get_mut(&branch)
                .ok_or_else(|| anyhow!("no device {branch}"))?;
            device.cmc_key = Some(cmc_key);
        }
        JournalEntry::Sale {
            branch,
            body,
            receipt,
            accepted_at,
            late,
        } => {
            let rules = SaleRules::new(config.dialect, Rates::new(config.rate_e));
            let sale =
                Fields::of_body(body.as_bytes()).and_then(|fields| Sale::read(&fields, rules));
            let sale = sale.map_err(|refusal| anyhow!("{}", refusal.message))?;
            let (body, hidden) = (body.into_bytes().into(), HiddenUntil::default());
            let filed = FiledSale {
                sale,
                body,
                receipt,
                accepted_at,
                late,
                hidden,
            };
            records
                .enter(&branch, filed)
                .ok_or_else(|| anyhow!("no device {branch}"))?;
        }
        JournalEntry::Mistake(error) => traffic.remember(error),
        JournalEntry::ResendWithoutLookUp => {
            traffic.change(|counts| counts.resends_without_look_up += 1)
        }
        JournalEntry::Peak { all, device } => traffic.change(|counts| {
            counts.raise(all, device);
        }),
        JournalEntry::Cleared => {
            records.clear();
            traffic.clear();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_failed_write_nothing_is_safe() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records");
        std::fs::write(&path, "").unwrap();
        let file = File::open(&path).unwrap();
        let journal = Journal(Some(Arc::new(Mutex::new(Writer {
            file,
            broken: false,
        }))));
        assert!(
            !journal.write(&JournalEntry::Cleared),
            "opened to read only"
        );
        assert!(!journal.clone().write(&JournalEntry::Cleared));
        assert!(
            Journal::default().write(&JournalEntry::Cleared),
            "nothing to write to"
        );
    }
}
