//! The audit: waits until the work is done, then compares what was sent with the reporting views
//! and with what the tax authority accepted.

mod authority_records;
mod breach;
mod dead_letters;
mod due_payment;
mod payment_index;
mod payments;
mod protocol_conduct;
mod receipts;
mod settle;
mod state_history;
mod storm_record;
mod summary;
mod table;
mod views;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;

use self::authority_records::AuthorityRecords;
use self::breach::Breaches;
use self::storm_record::StormRecord;
use self::summary::{Findings, Summary};
use self::views::ReportingDatabase;
use crate::cli::{AuditArgs, SettleArgs};
use crate::fleet::Fleet;
use crate::simulator;

/// Waits for the work, and prints how far it came.
pub(crate) async fn settle(args: SettleArgs) -> anyhow::Result<ExitCode> {
    let merchants = Fleet::read(&args.fleet)?.slugs();
    let storm = StormRecord::read(&args.record)?;
    let database = ReportingDatabase::connect(&args.database_url).await?;
    let settled = settle::wait(&database, &merchants, storm.confirmed(), args.wait).await?;
    eprintln!("{settled}");
    Ok(if settled.done {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

pub(crate) async fn run(args: AuditArgs) -> anyhow::Result<ExitCode> {
    let summary = audit(&args).await?;

    let json = serde_json::to_string_pretty(&summary)?;
    if let Some(path) = &args.summary {
        std::fs::write(path, &json)
            .with_context(|| format!("failed to write {}", path.display()))?;
    }
    let text = if args.json {
        json
    } else {
        table::text(&summary)
    };
    writeln!(std::io::stdout(), "{text}")?;

    Ok(if summary.balanced {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn audit(args: &AuditArgs) -> anyhow::Result<Summary> {
    let fleet = Fleet::read(&args.settle.fleet)?;
    let merchants = fleet.slugs();
    let storm = StormRecord::read(&args.settle.record)?;
    let database = ReportingDatabase::connect(&args.settle.database_url).await?;

    let confirmed = storm.confirmed();
    let settled = settle::wait(&database, &merchants, confirmed, args.settle.wait).await?;
    let views = database.read(&merchants).await?;
    let (filed, stats) = simulator::read_all(&args.sims).await?;
    let dead_letters = match &args.replay {
        Some(replay) => Some(dead_letters::list(replay).await?),
        None => None,
    };

    let mut breaches = Breaches::default();
    let payments = payments::check(&storm, &views, &mut breaches);
    let authority = AuthorityRecords::new(&fleet, &filed);
    receipts::check(&payments, &views, &authority, &mut breaches);
    let late_clashes = protocol_conduct::check(&filed, &stats, &views.histories, &mut breaches);
    dead_letters::check(&storm, dead_letters.as_deref(), &mut breaches);
    state_history::check(&views.histories, &mut breaches);

    Ok(Summary::of(Findings {
        storm: &storm,
        views: &views,
        filed: &filed,
        stats: &stats,
        dead_letters: dead_letters.as_deref(),
        late_clashes,
        breaches,
        waited: settled.waited,
    }))
}
