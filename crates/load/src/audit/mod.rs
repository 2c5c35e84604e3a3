//! The audit: waits until the work is done, then holds what was sent against what the views and the tax
//! authority say.

mod book;
mod breach;
mod histories;
mod letters;
mod manners;
mod payments;
mod receipts;
mod settle;
mod table;
mod views;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;

use crate::cli::{AuditArgs, SettleArgs};
use crate::fleet::Fleet;
use crate::sim::{self, Filed, Stats};
use book::Book;
use breach::{Breaches, Law};
use receipts::Authority;
use table::Summary;
use views::{Database, Views};

/// Waits, and says what is missing when the patience is over.
pub(crate) async fn settle(args: SettleArgs) -> anyhow::Result<ExitCode> {
    let merchants = Fleet::read(&args.fleet)?.slugs();
    let book = Book::read(&args.record)?;
    let database = Database::connect(&args.database_url).await?;
    let settled = settle::wait(&database, &merchants, book.certain(), args.wait).await?;
    eprintln!("{settled}");
    Ok(if settled.done {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

pub(crate) async fn run(args: AuditArgs) -> anyhow::Result<ExitCode> {
    let fleet = Fleet::read(&args.settle.fleet)?;
    let merchants = fleet.slugs();
    let book = Book::read(&args.settle.record)?;
    let database = Database::connect(&args.settle.database_url).await?;

    let settled = settle::wait(&database, &merchants, book.certain(), args.settle.wait).await?;
    let views = database.read(&merchants).await?;
    let (filed, stats) = sim::read_all(&args.sims).await?;
    let letters = match &args.replay {
        Some(replay) => Some(letters::list(replay).await?),
        None => None,
    };

    let mut breaches = Breaches::default();
    let found = payments::check(&book, &views, &mut breaches);
    receipts::check(
        &found,
        &views,
        &Authority::new(&fleet, &filed),
        &mut breaches,
    );
    let met = manners::check(&filed, &stats, &views.histories, &mut breaches);
    letters::check(&book, letters.as_deref(), &mut breaches);
    histories::check(&views.histories, &mut breaches);
    let mut summary = summary(
        &book,
        &views,
        &filed,
        &stats,
        letters.as_deref(),
        breaches,
        settled.waited,
    );
    summary.met_under_one_number = met;

    let json = serde_json::to_string_pretty(&summary)?;
    if let Some(path) = &args.summary {
        std::fs::write(path, &json)
            .with_context(|| format!("failed to write {}", path.display()))?;
    }
    let text = if args.json { json } else { summary.table() };
    writeln!(std::io::stdout(), "{text}")?;
    Ok(if summary.balanced {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn summary(
    book: &Book,
    views: &Views,
    filed: &[Filed],
    stats: &Stats,
    letters: Option<&[letters::Letter]>,
    breaches: Breaches,
    waited: Duration,
) -> Summary {
    let invoices = || views.invoices.values().flatten();
    let mut states: BTreeMap<String, usize> = BTreeMap::new();
    for payment in &views.payments {
        *states.entry(payment.state.clone()).or_default() += 1;
    }
    // Whatever was accepted while its answer went missing and has a receipt now was found again.
    let swallowed = ["accept_then_drop", "deliver_late"];
    Summary {
        balanced: breaches.0.is_empty(),
        lost: breaches.of(breach::Harm::Lost),
        doubled: breaches.of(breach::Harm::Doubled),
        duplicates_dropped: book.requests.accepted.saturating_sub(book.certain() as u64),
        reached_the_ledger_again: recorded_duplicates(views),
        unconfirmed: book.unconfirmed(),
        unreadable: letters.map(|letters| {
            letters
                .iter()
                .filter(|letter| letter.cause == "unreadable")
                .count()
        }),
        payments: views.payments.len(),
        payment_states: states,
        sales_filed: invoices()
            .filter(|i| i.is_sale && i.state == "success")
            .count(),
        credit_notes_filed: invoices()
            .filter(|i| !i.is_sale && i.state == "success")
            .count(),
        accepted_by_the_authority: filed.len(),
        answers_lost: swallowed
            .iter()
            .filter_map(|fault| stats.faults.get(*fault))
            .sum(),
        met_under_one_number: 0,
        look_ups: stats.calls.get("lookup").copied().unwrap_or(0),
        dead_ever: views.moves.ever_dead,
        dead_still: invoices().filter(|invoice| invoice.state == "dead").count(),
        replayed: views.moves.replayed,
        faults: stats.faults.clone(),
        waited_seconds: waited.as_secs(),
        laws: Law::ALL
            .iter()
            .map(|law| (*law, breaches.against(*law)))
            .collect(),
        breaches: breaches.0,
        requests: book.requests.clone(),
    }
}

/// Those that the cache let through and the ledger recognised.
fn recorded_duplicates(views: &Views) -> u64 {
    let duplicates: i64 = views
        .events
        .values()
        .flatten()
        .map(|event| event.duplicates)
        .sum();
    u64::try_from(duplicates).unwrap_or(0)
}
