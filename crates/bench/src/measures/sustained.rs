//! Ingress and ledger worker together on the same cores: what is accepted, and what is recorded.

use std::time::Duration;

use crate::audit::{Audit, empty_queue, recorded};
use crate::ground::Ground;
use crate::load::{Closed, Tally};
use crate::measures::ledger::events_recorded;
use crate::programs::Ingress;
use crate::results::{Aim, Row};
use crate::site::Site;

const CONNECTIONS: usize = 64;

pub(crate) async fn together(ground: &Ground) -> anyhow::Result<Vec<Row>> {
    let lasts = Duration::from_secs(if ground.full { 60 } else { 20 });
    let found = measure(ground, lasts).await?;
    let mut accepting =
        Row::new("sustained_accepted", "webhooks/s", found.accepted).audited(found.audit);
    accepting.p50_ms = Some(found.p50_ms);
    accepting.p99_ms = Some(found.p99_ms);
    let recording = Row::new("sustained_recorded", "events/s", found.recorded)
        .against("accepted", found.accepted)
        .aims(&[Aim::RatioAtLeast(0.95)]);
    Ok(vec![accepting, recording])
}

/// Rates of ingress and ledger worker together.
pub(crate) struct Sustained {
    pub(crate) accepted: f64,
    pub(crate) recorded: f64,
    p50_ms: f64,
    p99_ms: f64,
    audit: Audit,
}

pub(crate) async fn measure(ground: &Ground, lasts: Duration) -> anyhow::Result<Sustained> {
    let site = Site::new(ground, 1).await?;
    let ingress = site.ingress(&[]).await?;
    let worker = site.ledger_worker().await?;
    let tally = load(ground, &ingress, lasts).await?;
    let recorded_rate = events_recorded(&[&worker]).await? / lasts.as_secs_f64();
    worker.end().await?;
    ingress.end().await?;

    let (accepted, p50_ms, p99_ms) = (
        tally.rate(),
        tally.percentile_ms(50.0),
        tally.percentile_ms(99.0),
    );
    // What the worker had no time for is still in the queue.
    let found = recorded(&site.database.connect().await).await?;
    let waiting = empty_queue(ground.servers.amqp_url(), &site.payments_queue()).await?;
    Ok(Sustained {
        accepted,
        recorded: recorded_rate,
        p50_ms,
        p99_ms,
        audit: Audit::of_both(tally.kept, found, waiting),
    })
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
