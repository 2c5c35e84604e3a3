//! Restoring records and counts from the journal of an earlier run.

use anyhow::{Context, anyhow};

use crate::branch::Branch;
use crate::calls::{self, Caller};
use crate::config::Config;
use crate::device::{Device, FiledSale, HiddenUntil};
use crate::fields::Fields;
use crate::journal::{Journal, JournalEntry};
use crate::records::KraRecords;
use crate::reply::Reply;
use crate::sale::{Sale, SaleRules};
use crate::tax::Rates;
use crate::traffic::Traffic;

/// The records and counts that an earlier run left in the configured journal, if there is one.
/// Both go on writing to it.
///
/// # Errors
/// The file cannot be opened, or holds an entry that these settings would not have accepted.
pub(crate) fn restore(config: &Config) -> anyhow::Result<(KraRecords, Traffic)> {
    let mut records = KraRecords::default();
    let mut traffic = Traffic::default();
    if let Some(path) = &config.journal {
        let journal = Journal::open(path, |entry| apply(entry, config, &mut records, &traffic))
            .with_context(|| format!("the journal {}", path.display()))?;
        records.journal = journal.clone();
        traffic.journal = journal;
    }
    Ok((records, traffic))
}

fn apply(
    entry: JournalEntry,
    config: &Config,
    records: &mut KraRecords,
    traffic: &Traffic,
) -> anyhow::Result<()> {
    match entry {
        JournalEntry::Device(registration) => {
            let branch = registration.branch();
            let device = Device::new(&branch, registration, config.seed);
            records.add_device(branch, device);
        }
        JournalEntry::Initialised { branch, cmc_key } => {
            let device = records
                .device_mut(&branch)
                .map_err(|_| no_device(&branch))?;
            device.cmc_key = Some(cmc_key);
        }
        JournalEntry::Sale {
            branch,
            body,
            receipt,
            accepted_at,
            late,
        } => {
            let filed = FiledSale {
                sale: read_sale(&body, config)?,
                body: body.into_bytes().into(),
                receipt,
                accepted_at,
                late,
                hidden: HiddenUntil::default(),
            };
            records
                .add_sale(&branch, filed)
                .map_err(|_| no_device(&branch))?;
        }
        JournalEntry::Write {
            branch,
            call,
            body,
            at,
        } => {
            let mut caller = Caller {
                branch: &branch,
                config,
                records,
                query: "",
                now: at,
            };
            Fields::of_body(body.as_bytes())
                .map_err(Reply::from)
                .and_then(|fields| calls::answer(call, &mut caller, &fields))
                .map_err(|reply| anyhow!("{call:?} of {branch} is no longer taken: {reply:?}"))?;
        }
        JournalEntry::Mistake(error) => traffic.count_protocol_error(error),
        JournalEntry::ResendWithoutLookUp => {
            traffic.update(|counts| counts.resends_without_look_up += 1);
        }
        JournalEntry::Peak(peak) => traffic.update(|counts| counts.raise_to(&peak)),
        JournalEntry::Cleared => {
            records.clear();
            traffic.clear();
        }
    }
    Ok(())
}

fn read_sale(body: &str, config: &Config) -> anyhow::Result<Sale> {
    let rules = SaleRules::new(config.dialect, Rates::new(config.rate_e));
    Fields::of_body(body.as_bytes())
        .and_then(|fields| Sale::read(&fields, rules))
        .map_err(|refusal| anyhow!("{}", refusal.message))
}

fn no_device(branch: &Branch) -> anyhow::Error {
    anyhow!("no device {branch}")
}
