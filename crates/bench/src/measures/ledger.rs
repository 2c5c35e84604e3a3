//! The ledger worker over a backlog of STK successes, against the same rows by hand.

use std::time::Duration;

use anyhow::ensure;
use tokio::time::{Instant, sleep};

use crate::audit::{Audit, recorded};
use crate::cpu;
use crate::ground::Ground;
use crate::load::Closed;
use crate::programs::Running;
use crate::results::{Aim, Row};
use crate::site::Site;
use crate::yardsticks;

/// Connections that fill the queue.
const CONNECTIONS: usize = 64;
/// How often a worker is asked how many events it has recorded.
const LOOK: Duration = Duration::from_millis(50);
/// Longest wait for one more event.
const SILENCE: Duration = Duration::from_secs(60);
/// No device of a backlog is ever called.
const NO_HOST: ([u8; 4], u16) = ([127, 0, 0, 1], 9);

pub(crate) async fn without_device(ground: &Ground) -> anyhow::Result<Vec<Row>> {
    let row = against_same_rows(ground, "ledger_backlog", false).await?;
    let aims = [Aim::RatioAtLeast(0.7), Aim::ValueAtLeast(4000.0)];
    Ok(vec![row.aims(&aims)])
}

pub(crate) async fn with_device(ground: &Ground) -> anyhow::Result<Vec<Row>> {
    let row = against_same_rows(ground, "ledger_backlog_device", true).await?;
    let aims = [Aim::RatioAtLeast(0.7), Aim::ValueAtLeast(3000.0)];
    Ok(vec![row.aims(&aims)])
}

async fn against_same_rows(ground: &Ground, name: &str, device: bool) -> anyhow::Result<Row> {
    let events = if ground.full { 50_000 } else { 12_000 };
    let site = Site::new(ground, 1).await?;
    if device {
        site.add_devices(NO_HOST.into(), false).await?;
    }
    let answered = fill(&site, events).await?;
    // Merchants and devices without payments. The copy cannot be made once the worker is connected.
    let copy = site.copy_database().await?;

    let worker = site.ledger_worker().await?;
    // The first batches meet cold caches and statements that are not prepared.
    let drained = drain(&site, &[&worker], events / 10, events).await?;
    worker.end().await?;

    let client = site.database.connect().await;
    let audit = Audit::of(answered, recorded(&client).await?);
    let (from, into) = (site.database.url(), copy.url());
    let by_hand = yardsticks::pace(ground, &["insert", "--from", from, "--into", into]).await?;
    let mut row = Row::new(name, "events/s", drained.rate)
        .against("same rows by hand", by_hand.per_second())
        .audited(audit)
        .note(format!(
            "{events} events; CPU µs for each event: worker {:.0}, PostgreSQL {:.0}",
            drained.worker_us, drained.postgres_us
        ));
    row.cpu_us = Some(drained.worker_us + drained.postgres_us);
    Ok(row)
}

/// Lets ingress queue so many different webhooks, and returns the payments that it answered 200.
pub(crate) async fn fill(site: &Site<'_>, payments: u32) -> anyhow::Result<Vec<u32>> {
    let ingress = site.ingress(&[]).await?;
    let closed = Closed {
        target: ingress.target.clone(),
        connections: CONNECTIONS,
        lasts: Duration::from_secs(3600),
        order: site.ground.numbers.count(payments),
    };
    let tally = closed.run().await?;
    ingress.end().await?;
    ensure!(
        tally.not_kept() == 0,
        "{} webhooks of a backlog were not answered 200",
        tally.not_kept()
    );
    Ok(tally.kept)
}

/// What it took to record a backlog.
pub(crate) struct Drained {
    /// Events recorded a second.
    pub(crate) rate: f64,
    /// CPU microseconds for each event.
    pub(crate) worker_us: f64,
    pub(crate) postgres_us: f64,
}

impl Drained {
    /// CPU microseconds for each event, workers and database together.
    pub(crate) fn cost_us(&self) -> f64 {
        self.worker_us + self.postgres_us
    }
}

/// Waits until fresh workers have recorded `to` events, and measures the way from `from`.
pub(crate) async fn drain(
    site: &Site<'_>,
    workers: &[&Running],
    from: u32,
    to: u32,
) -> anyhow::Result<Drained> {
    reach(workers, from.into()).await?;
    let start = Instant::now();
    let count = events_recorded(workers).await?;
    let (worker, postgres) = cpu_of(site, workers)?;

    reach(workers, to.into()).await?;
    let lasted = start.elapsed().as_secs_f64();
    let events = events_recorded(workers).await? - count;
    let (worker_end, postgres_end) = cpu_of(site, workers)?;
    Ok(Drained {
        rate: events / lasted,
        worker_us: (worker_end - worker) * 1e6 / events,
        postgres_us: (postgres_end - postgres) * 1e6 / events,
    })
}

fn cpu_of(site: &Site<'_>, workers: &[&Running]) -> anyhow::Result<(f64, f64)> {
    let mut seconds = 0.0;
    for worker in workers {
        seconds += cpu::seconds(worker.pid())?;
    }
    Ok((seconds, site.ground.postgres_seconds()?))
}

/// Events that workers have recorded since they started.
pub(crate) async fn events_recorded(workers: &[&Running]) -> anyhow::Result<f64> {
    let mut events = 0.0;
    for worker in workers {
        events += worker.metric("risiti_events_recorded_total", &[]).await?;
    }
    Ok(events)
}

/// Waits until workers have recorded so many events since they started.
pub(crate) async fn reach(workers: &[&Running], wanted: f64) -> anyhow::Result<()> {
    let mut last = (0.0, Instant::now());
    loop {
        let events = events_recorded(workers).await?;
        if events >= wanted {
            return Ok(());
        }
        if events > last.0 {
            last = (events, Instant::now());
        }
        let silent = last.1.elapsed() > SILENCE;
        ensure!(
            !silent,
            "{events} of {wanted} events are recorded, and no more"
        );
        sleep(LOOK).await;
    }
}
