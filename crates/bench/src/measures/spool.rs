//! Appends to the spool, against bare fsyncs of as many entries.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use futures_util::future::try_join_all;
use risiti_spool::Spool;

use crate::audit::Audit;
use crate::ground::Ground;
use crate::measures::rounds::{ROUNDS, median};
use crate::results::{Aim, Row};
use crate::yardsticks;

/// Appends that wait at once, as many as a loaded ingress has requests.
const APPENDERS: u32 = 256;
const LASTS: Duration = Duration::from_secs(4);
/// Bytes of a webhook with its envelope, roughly.
const ENTRY_BYTES: usize = 900;
const LIMIT_BYTES: u64 = 4 << 30;
const READ_ENTRIES: usize = 4_096;
const READ_BYTES: usize = 16 << 20;

pub(crate) async fn append(ground: &Ground) -> anyhow::Result<Vec<Row>> {
    let (mut rates, mut fsyncs, mut groups) = (Vec::new(), Vec::new(), Vec::new());
    let mut audit = Audit::default();
    for _ in 0..ROUNDS {
        let folder = tempfile::tempdir_in(&ground.dir)?;
        let spool = Spool::open(folder.path(), LIMIT_BYTES)?;
        let round = fill(&spool).await?;
        spool.close().await;

        let group = (round.kept.len() as f64 / round.commits as f64).round();
        rates.push(round.kept.len() as f64 / round.seconds);
        groups.push(group);
        fsyncs.push(fsync(ground, folder.path(), group).await?);
        audit.add(Audit::of(round.kept, all_entries(folder.path()).await?));
    }
    let row = Row::new("spool_append", "entries/s", median(&rates))
        .against("fsyncs of such groups", median(&fsyncs))
        .aims(&[Aim::RatioAtLeast(0.7)])
        .audited(audit)
        .note(format!("{} entries share a commit", median(&groups)));
    Ok(vec![row])
}

struct Round {
    kept: Vec<u32>,
    seconds: f64,
    commits: u64,
}

async fn fill(spool: &Spool) -> anyhow::Result<Round> {
    // The first append waits until the spool is open.
    append_one(spool, 0).await?;
    let commits_before = spool.status().borrow().commits;

    let started = Instant::now();
    let appenders = (0..APPENDERS).map(|appender| {
        let spool = spool.clone();
        tokio::spawn(async move {
            let mut kept = Vec::new();
            let mut number = appender + 1;
            while started.elapsed() < LASTS {
                append_one(&spool, number).await?;
                kept.push(number);
                number += APPENDERS;
            }
            anyhow::Ok(kept)
        })
    });
    let mut kept = vec![0];
    for appended in try_join_all(appenders).await? {
        kept.extend(appended?);
    }
    let seconds = started.elapsed().as_secs_f64();
    let commits = spool.status().borrow().commits - commits_before;
    ensure!(commits > 0, "the spool counted no commit");
    Ok(Round {
        kept,
        seconds,
        commits,
    })
}

async fn append_one(spool: &Spool, number: u32) -> anyhow::Result<()> {
    let mut entry = vec![b'x'; ENTRY_BYTES];
    entry[..4].copy_from_slice(&number.to_be_bytes());
    Ok(spool.append(entry).await?)
}

/// Opens the spool anew and reads the number in each of its entries.
async fn all_entries(folder: &Path) -> anyhow::Result<Vec<u32>> {
    let spool = Spool::open(folder, LIMIT_BYTES)?;
    let (mut found, mut after) = (Vec::new(), 0);
    loop {
        let entries = spool.read(after, READ_ENTRIES, READ_BYTES).await?;
        let Some(last) = entries.last() else { break };
        after = last.number;
        for entry in &entries {
            let number: [u8; 4] = entry.bytes[..4].try_into()?;
            found.push(u32::from_be_bytes(number));
        }
    }
    spool.close().await;
    Ok(found)
}

async fn fsync(ground: &Ground, folder: &Path, group: f64) -> anyhow::Result<f64> {
    let dir = folder.to_string_lossy();
    let (group, entry) = (group.max(1.0).to_string(), ENTRY_BYTES.to_string());
    let mut args = vec!["fsync", "--dir", &dir];
    args.extend(["--group", &group, "--entry-bytes", &entry]);
    Ok(yardsticks::pace(ground, &args).await?.per_second())
}
