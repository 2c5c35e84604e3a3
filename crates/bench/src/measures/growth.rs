//! What one event costs as payments, merchants and workers become more. Cost is CPU time of ledger
//! workers and database together, which a second program on the machine disturbs less than a rate.

use crate::audit::{Audit, recorded};
use crate::ground::Ground;
use crate::measures::ledger::{Drained, drain, fill};
use crate::results::{Aim, Row};
use crate::site::Site;

/// Events of one measurement.
const WINDOW: u32 = 6_000;
const FLAT: [Aim; 1] = [Aim::RatioAtMost(1.15)];
const FEW_MERCHANTS: u32 = 10;

pub(crate) async fn payments(ground: &Ground) -> anyhow::Result<Vec<Row>> {
    let sizes = match ground.full {
        true => &[10_000, 100_000, 1_000_000][..],
        false => &[10_000, 40_000],
    };
    let last = sizes.iter().copied().max().unwrap_or_default();
    let site = Site::new(ground, 1).await?;
    let answered = fill(&site, last).await?;
    let worker = site.ledger_worker().await?;
    let mut found = Vec::new();
    for &size in sizes {
        let drained = drain(&site, &[&worker], size - WINDOW, size).await?;
        found.push((format!("{size} payments"), drained));
    }
    worker.end().await?;

    let client = site.database.connect().await;
    let audit = Audit::of(answered, recorded(&client).await?);
    Ok(row("growth_payments", &found, audit).into_iter().collect())
}

pub(crate) async fn merchants(ground: &Ground) -> anyhow::Result<Vec<Row>> {
    let many = if ground.full { 1_000 } else { 100 };
    let mut found = Vec::new();
    let mut audit = Audit::default();
    for merchants in [FEW_MERCHANTS, many] {
        let (drained, audited) = with(ground, merchants, 1).await?;
        found.push((format!("{merchants} merchants"), drained));
        audit.add(audited);
    }
    Ok(row("growth_merchants", &found, audit).into_iter().collect())
}

pub(crate) async fn workers(ground: &Ground) -> anyhow::Result<Vec<Row>> {
    let mut found = Vec::new();
    let mut audit = Audit::default();
    for workers in [1, 2, 4] {
        let (drained, audited) = with(ground, FEW_MERCHANTS, workers).await?;
        found.push((format!("{workers} workers"), drained));
        audit.add(audited);
    }
    Ok(row("growth_workers", &found, audit).into_iter().collect())
}

/// Drains a backlog of so many merchants with so many workers.
async fn with(ground: &Ground, merchants: u32, workers: usize) -> anyhow::Result<(Drained, Audit)> {
    let site = Site::new(ground, merchants).await?;
    // The first third is recorded before all workers are ready.
    let events = WINDOW / 2 * 3;
    let answered = fill(&site, events).await?;
    let mut running = Vec::new();
    for _ in 0..workers {
        running.push(site.ledger_worker().await?);
    }
    let drained = drain(
        &site,
        &running.iter().collect::<Vec<_>>(),
        events - WINDOW,
        events,
    )
    .await?;
    for worker in running {
        worker.end().await?;
    }
    let client = site.database.connect().await;
    Ok((drained, Audit::of(answered, recorded(&client).await?)))
}

/// Compares the largest size with the smallest.
fn row(name: &str, found: &[(String, Drained)], audit: Audit) -> Option<Row> {
    let ((smallest, first), (_, last)) = (found.first()?, found.last()?);
    let each = found.iter().map(|(size, drained)| {
        format!("{size}: {:.0} µs, {:.0}/s", drained.cost_us(), drained.rate)
    });
    let row = Row::new(name, "CPU µs/event", last.cost_us())
        .against(smallest, first.cost_us())
        .aims(&FLAT)
        .audited(audit)
        .note(each.collect::<Vec<_>>().join("; "));
    Some(row)
}
