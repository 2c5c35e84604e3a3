//! Appends to a file, with one fsync for each group: what the disk takes without a spool around it.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::{Pace, tell};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder for the file, which is removed
    #[arg(long)]
    dir: PathBuf,
    /// Entries that share one fsync
    #[arg(long)]
    group: usize,
    #[arg(long)]
    entry_bytes: usize,
    #[arg(long, default_value_t = 4)]
    seconds: u64,
}

pub(crate) fn run(args: Args) -> anyhow::Result<()> {
    let path = args.dir.join("fsync-yardstick");
    let mut file = File::create(&path).with_context(|| format!("{}", path.display()))?;
    let group = vec![b'x'; args.group * args.entry_bytes];

    let started = Instant::now();
    let end = started + Duration::from_secs(args.seconds);
    let mut count = 0;
    while Instant::now() < end {
        file.write_all(&group)?;
        file.sync_data()?;
        count += args.group as u64;
    }
    let seconds = started.elapsed().as_secs_f64();
    std::fs::remove_file(&path)?;
    tell(&Pace { count, seconds })
}
