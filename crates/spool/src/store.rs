//! The database file: entries by number, and facts about all of them.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redb::{
    Builder, Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition,
};

use crate::Entry;
use crate::disk::Medium;
use crate::error::StoreError;

/// The version of the format. It is raised when the stored data changes its meaning.
const FORMAT: u64 = 1;
/// The data is read once, in order, so a small cache is enough. redb's default of 1 GiB would be
/// this program's largest use of memory.
const CACHE_BYTES: usize = 8 << 20;

/// Entries by number. Numbers ascend from 1 and are never used twice. Each value has the time of
/// appending (milliseconds since 1970) and the bytes.
const ENTRIES: TableDefinition<u64, (u64, &[u8])> = TableDefinition::new("entries");
const FACTS: TableDefinition<&str, u64> = TableDefinition::new("facts");
const FORMAT_FACT: &str = "format";
const NEXT_FACT: &str = "next";
const BYTES_FACT: &str = "bytes";

#[derive(Debug)]
pub(crate) struct Store {
    database: Database,
    pub(crate) counts: Counts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    next: u64,
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
    pub(crate) oldest: Option<SystemTime>,
}

impl Store {
    /// Opens the file, and makes a fresh one if there is none. `check_pages` reads every page,
    /// without which a damaged file is not recognised.
    pub(crate) fn open(medium: &mut impl Medium, check_pages: bool) -> Result<Self, StoreError> {
        if !medium.exists()? {
            let database = build(medium.open(true)?, false)?;
            Self::initialise(&database)?;
            database.close()?;
            medium.install()?;
        }
        let database = build(medium.open(false)?, check_pages)?;
        let counts = Self::count(&database)?;
        Ok(Self { database, counts })
    }

    fn initialise(database: &Database) -> Result<(), StoreError> {
        let transaction = begin(database)?;
        transaction.open_table(ENTRIES)?;
        {
            let mut facts = transaction.open_table(FACTS)?;
            for (name, value) in [(FORMAT_FACT, FORMAT), (NEXT_FACT, 1), (BYTES_FACT, 0)] {
                facts.insert(name, value)?;
            }
        }
        Ok(transaction.commit()?)
    }

    fn count(database: &Database) -> Result<Counts, StoreError> {
        let transaction = database.begin_read()?;
        let facts = transaction.open_table(FACTS)?;
        let fact = |name: &str| -> Result<u64, StoreError> {
            let missing = || StoreError::Damaged(format!("the fact {name} is missing").into());
            Ok(facts.get(name)?.ok_or_else(missing)?.value())
        };
        let format = fact(FORMAT_FACT)?;
        if format != FORMAT {
            let why = format!("it has format {format}, and this release knows {FORMAT}");
            return Err(StoreError::Foreign(why.into()));
        }
        let entries = transaction.open_table(ENTRIES)?;
        Ok(Counts {
            next: fact(NEXT_FACT)?,
            entries: entries.len()?,
            bytes: fact(BYTES_FACT)?,
            oldest: oldest(&entries)?,
        })
    }

    /// Appends and removes entries in one transaction, which is on disk when this returns. After an
    /// error the store must be opened again.
    pub(crate) fn change(
        &mut self,
        append: &[Vec<u8>],
        remove: &BTreeSet<u64>,
    ) -> Result<(), StoreError> {
        let mut counts = self.counts;
        let transaction = begin(&self.database)?;
        {
            let mut entries = transaction.open_table(ENTRIES)?;
            for number in remove {
                if let Some(removed) = entries.remove(number)? {
                    counts.entries -= 1;
                    counts.bytes = counts.bytes.saturating_sub(removed.value().1.len() as u64);
                }
            }
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            for bytes in append {
                let millis = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
                entries.insert(counts.next, (millis, bytes.as_slice()))?;
                counts.next += 1;
                counts.entries += 1;
                counts.bytes += bytes.len() as u64;
            }
            counts.oldest = oldest(&entries)?;
            let mut facts = transaction.open_table(FACTS)?;
            facts.insert(NEXT_FACT, counts.next)?;
            facts.insert(BYTES_FACT, counts.bytes)?;
        }
        transaction.commit()?;
        self.counts = counts;
        Ok(())
    }

    /// Reads the entries after number `after` in order, except those in `except`. It returns as
    /// many as fit, but at least one if there is one.
    pub(crate) fn read(
        &self,
        after: u64,
        except: &BTreeSet<u64>,
        entries_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let transaction = self.database.begin_read()?;
        let entries = transaction.open_table(ENTRIES)?;
        let mut found = Vec::new();
        let mut bytes = 0;
        for entry in entries.range(after.saturating_add(1)..)? {
            let (number, value) = entry?;
            if except.contains(&number.value()) {
                continue;
            }
            let content = value.value().1;
            bytes += content.len();
            if !found.is_empty() && bytes > bytes_max {
                break;
            }
            found.push(Entry {
                number: number.value(),
                bytes: content.to_vec(),
            });
            if found.len() >= entries_max {
                break;
            }
        }
        Ok(found)
    }
}

fn build(backend: impl redb::StorageBackend, check_pages: bool) -> Result<Database, StoreError> {
    let mut builder = Builder::new();
    builder
        .set_cache_size(CACHE_BYTES)
        .set_check_integrity_on_open(check_pages);
    Ok(builder.create_with_backend(backend)?)
}

/// Begins a two-phase transaction, whose result can be trusted without a checksum. Each commit
/// stores the allocator's state too, so that opening a large file after a crash does not read all
/// of it.
fn begin(database: &Database) -> Result<redb::WriteTransaction, StoreError> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    Ok(transaction)
}

fn oldest(
    entries: &impl ReadableTable<u64, (u64, &'static [u8])>,
) -> Result<Option<SystemTime>, StoreError> {
    let first = entries.first()?;
    Ok(first.map(|(_, value)| UNIX_EPOCH + Duration::from_millis(value.value().0)))
}
