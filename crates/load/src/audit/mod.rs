//! The audit: waits until the work is done, then holds what was sent against what the views and the tax
//! authority say.

mod book;
mod breach;
mod letters;
mod payments;
mod receipts;
mod table;
mod views;

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use indicatif::ProgressBar;

use crate::cli::AuditArgs;
use crate::fleet::Fleet;
use crate::sim::{Filed, Simulator, Stats};
use book::Book;
use breach::{Breaches, Law};
use receipts::Authority;
use table::Summary;
use views::{Database, Progress, Views};

const GLANCE: Duration = Duration::from_millis(500);
/// Unconfirmed messages may still be on their way after all confirmed ones are there.
const QUIET: Duration = Duration::from_secs(2);

pub(crate) async fn run(args: AuditArgs) -> anyhow::Result<ExitCode> {
    let fleet = Fleet::read(&args.fleet)?;
    let merchants = fleet.slugs();
    let book = Book::read(&args.record)?;
    let simulator = Simulator::new(&args.sim)?;
    let database = Database::connect(&args.database_url).await?;

    let waited = wait(&database, &merchants, book.certain(), args.wait).await?;
    let views = database.read(&merchants).await?;
    let (filed, stats) = (simulator.filed().await?, simulator.stats().await?);
    let letters = match &args.replay {
        Some(replay) => Some(letters::list(replay).await?),
        None => None,
    };

    let mut breaches = Breaches::default();
    let found = payments::check(&book, &views, &mut breaches);
    receipts::check(&found, &views, &Authority::new(&fleet, &filed), &mut breaches);
    receipts::check_authority(&filed, &stats, &mut breaches);
    letters::check(&book, letters.as_deref(), &mut breaches);
    let summary = summary(&book, &views, &filed, &stats, letters.as_deref(), breaches, waited);

    let json = serde_json::to_string_pretty(&summary)?;
    if let Some(path) = &args.summary {
        std::fs::write(path, &json).with_context(|| format!("failed to write {}", path.display()))?;
    }
    let text = if args.json { json } else { summary.table() };
    writeln!(std::io::stdout(), "{text}")?;
    Ok(if summary.balanced { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Until all that was confirmed is recorded, nothing is open and nothing moves; or the patience is over, and
/// what is missing then is a breach.
async fn wait(
    database: &Database,
    merchants: &[String],
    certain: usize,
    patience: Duration,
) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let (mut last, mut since): (Option<Progress>, Instant) = (None, began);
    let spinner =
        if std::io::stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    loop {
        let progress = database.progress(merchants).await?;
        if last != Some(progress) {
            (last, since) = (Some(progress), Instant::now());
        }
        spinner.set_message(format!("{} events, {} invoices open", progress.events, progress.open_invoices));
        spinner.tick();
        let done = progress.open_invoices == 0 && progress.events >= i64::try_from(certain)?;
        if (done && since.elapsed() >= QUIET) || began.elapsed() >= patience {
            spinner.finish_and_clear();
            return Ok(began.elapsed());
        }
        tokio::time::sleep(GLANCE).await;
    }
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
        duplicates_dropped: book.requests.duplicates + recorded_duplicates(views),
        unconfirmed: book.unconfirmed(),
        unreadable: letters
            .map(|letters| letters.iter().filter(|letter| letter.cause == "unreadable").count()),
        payments: views.payments.len(),
        payment_states: states,
        sales_filed: invoices().filter(|i| i.is_sale && i.state == "success").count(),
        credit_notes_filed: invoices().filter(|i| !i.is_sale && i.state == "success").count(),
        accepted_by_the_authority: filed.len(),
        answers_lost: swallowed.iter().filter_map(|fault| stats.faults.get(*fault)).sum(),
        look_ups: stats.calls.get("lookup").copied().unwrap_or(0),
        dead_ever: views.moves.ever_dead,
        dead_still: invoices().filter(|invoice| invoice.state == "dead").count(),
        replayed: views.moves.replayed,
        faults: stats.faults.clone(),
        waited_seconds: waited.as_secs(),
        laws: Law::ALL.iter().map(|law| (*law, breaches.against(*law))).collect(),
        breaches: breaches.0,
        requests: book.requests.clone(),
    }
}

/// Those that the cache let through and the ledger recognised.
fn recorded_duplicates(views: &Views) -> u64 {
    let duplicates: i64 = views.events.values().flatten().map(|event| event.duplicates).sum();
    u64::try_from(duplicates).unwrap_or(0)
}
