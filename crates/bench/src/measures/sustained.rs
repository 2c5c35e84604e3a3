//! Ingress and ledger worker together on the same cores: what is accepted, and what is recorded.

use std::time::Duration;

use anyhow::ensure;

use crate::audit::{Audit, empty_queue, recorded};
use crate::cpu;
use crate::ground::Ground;
use crate::load::{Closed, Open, Tally};
use crate::measures::ledger::{events_recorded, reach};
use crate::programs::{Ingress, Running};
use crate::results::{Aim, Row};
use crate::site::Site;

const CONNECTIONS: usize = 64;
/// A worker keeps up with a rate when it has recorded this share of it by the end of the load. What
/// is under way at the end is no backlog.
const KEEPS_UP: f64 = 0.97;
/// From one rate to the next.
const STEP: f64 = 1.1;
/// Rates that are tried.
const TRIES: usize = 12;

pub(crate) async fn together(ground: &Ground) -> anyhow::Result<Vec<Row>> {
    let lasts = Duration::from_secs(if ground.full { 60 } else { 20 });
    let found = measure(ground, lasts).await?;
    let mut accepting = Row::new("sustained_accepted", "webhooks/s", found.accepted)
        .audited(found.audit)
        .note(found.cpu_us);
    accepting.p50_ms = Some(found.p50_ms);
    accepting.p99_ms = Some(found.p99_ms);
    let recording = Row::new("sustained_recorded", "events/s", found.recorded)
        .against("accepted", found.accepted)
        .aims(&[Aim::RatioAtLeast(0.95)]);
    Ok(vec![accepting, recording])
}

/// The highest constant rate that is recorded as fast as it is accepted.
pub(crate) async fn steady(ground: &Ground) -> anyhow::Result<Vec<Row>> {
    let lasts = Duration::from_secs(if ground.full { 30 } else { 8 });
    let mut rate = 3_000.0;
    let mut kept_up: Option<Steady> = None;
    for _ in 0..TRIES {
        let tried = try_rate(ground, rate, lasts).await?;
        let keeps_up = tried.recorded >= KEEPS_UP * rate;
        match (keeps_up, &kept_up) {
            (true, _) => {
                let fell_before = kept_up.as_ref().is_some_and(|steady| steady.rate > rate);
                kept_up = Some(tried);
                if fell_before {
                    break;
                }
                rate *= STEP;
            }
            (false, Some(_)) => break,
            (false, None) => rate /= STEP,
        }
    }
    let steady = kept_up.ok_or_else(|| anyhow::anyhow!("{rate:.0} a second is too much"))?;
    let mut row = Row::new("sustained_steady", "webhooks/s", steady.rate)
        .audited(steady.audit)
        .note("the highest constant rate that is recorded as fast as it is accepted");
    row.p50_ms = Some(steady.tally_p50_ms);
    row.p99_ms = Some(steady.tally_p99_ms);
    Ok(vec![row])
}

/// What a constant rate led to.
struct Steady {
    rate: f64,
    recorded: f64,
    tally_p50_ms: f64,
    tally_p99_ms: f64,
    audit: Audit,
}

async fn try_rate(ground: &Ground, rate: f64, lasts: Duration) -> anyhow::Result<Steady> {
    let site = Site::new(ground, 1).await?;
    let ingress = site.ingress(&[]).await?;
    let worker = site.ledger_worker().await?;
    let open = Open {
        target: ingress.target.clone(),
        connections: CONNECTIONS * 4,
        per_second: rate as u32,
        lasts,
        answered: None,
    };
    let tally = open.run(&ground.numbers).await?;
    let recorded_rate = events_recorded(&[&worker]).await? / lasts.as_secs_f64();
    ensure!(tally.not_kept() == 0, "{} were refused", tally.not_kept());
    reach(&[&worker], tally.kept.len() as f64).await?;
    worker.end().await?;
    ingress.end().await?;
    Ok(Steady {
        rate,
        recorded: recorded_rate,
        tally_p50_ms: tally.percentile_ms(50.0),
        tally_p99_ms: tally.percentile_ms(99.0),
        audit: Audit::of(tally.kept, recorded(&site.database.connect().await).await?),
    })
}

/// Rates of ingress and ledger worker together.
pub(crate) struct Sustained {
    pub(crate) accepted: f64,
    pub(crate) recorded: f64,
    p50_ms: f64,
    p99_ms: f64,
    /// CPU time of each program for what it did.
    cpu_us: String,
    audit: Audit,
}

pub(crate) async fn measure(ground: &Ground, lasts: Duration) -> anyhow::Result<Sustained> {
    let site = Site::new(ground, 1).await?;
    let ingress = site.ingress(&[]).await?;
    let worker = site.ledger_worker().await?;
    let before = cpu_seconds(ground, &ingress.running, &worker)?;
    let tally = load(ground, &ingress, lasts).await?;
    let events = events_recorded(&[&worker]).await?;
    let after = cpu_seconds(ground, &ingress.running, &worker)?;
    worker.end().await?;
    ingress.end().await?;

    let (accepted, p50_ms, p99_ms) = (
        tally.rate(),
        tally.percentile_ms(50.0),
        tally.percentile_ms(99.0),
    );
    let accepting = tally.kept.len() as f64;
    let us = |at: usize, each: f64| (after[at] - before[at]) * 1e6 / each;
    let cpu_us = format!(
        "CPU µs: ingress {:.0} and RabbitMQ {:.0} for each webhook; worker {:.0} and PostgreSQL {:.0} \
         for each event",
        us(0, accepting),
        us(1, accepting),
        us(2, events),
        us(3, events)
    );
    // What the worker had no time for is still in the queue.
    let found = recorded(&site.database.connect().await).await?;
    let waiting = empty_queue(ground.servers.amqp_url(), &site.payments_queue()).await?;
    Ok(Sustained {
        accepted,
        recorded: events / lasts.as_secs_f64(),
        p50_ms,
        p99_ms,
        cpu_us,
        audit: Audit::of_both(tally.kept, found, waiting),
    })
}

/// CPU seconds of ingress, broker, worker and database so far.
fn cpu_seconds(ground: &Ground, ingress: &Running, worker: &Running) -> anyhow::Result<[f64; 4]> {
    Ok([
        cpu::seconds(ingress.pid())?,
        ground.rabbitmq_seconds()?,
        cpu::seconds(worker.pid())?,
        ground.postgres_seconds()?,
    ])
}

/// What ingress accepts with no worker beside it.
pub(crate) async fn accepting_alone(ground: &Ground, lasts: Duration) -> anyhow::Result<f64> {
    let site = Site::new(ground, 1).await?;
    let ingress = site.ingress(&[]).await?;
    let tally = load(ground, &ingress, lasts).await?;
    ingress.end().await?;
    Ok(tally.rate())
}

async fn load(ground: &Ground, ingress: &Ingress, lasts: Duration) -> anyhow::Result<Tally> {
    let closed = Closed {
        target: ingress.target.clone(),
        connections: CONNECTIONS,
        lasts,
        order: ground.numbers.distinct(),
    };
    closed.run().await
}
