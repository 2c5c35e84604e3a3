//! Ingress and ledger worker together on the same cores: what is accepted, and what is recorded.

use std::time::Duration;

use crate::audit::{Audit, empty_queue, recorded};
use crate::ground::Ground;
use crate::load::Closed;
use crate::measures::ledger::events_recorded;
use crate::results::{Aim, Row};
use crate::site::Site;

const CONNECTIONS: usize = 64;

pub(crate) async fn together(ground: &Ground) -> anyhow::Result<Vec<Row>> {
    let lasts = Duration::from_secs(if ground.full { 60 } else { 20 });
    let site = Site::new(ground, 1).await?;
    let ingress = site.ingress(&[]).await?;
    let worker = site.ledger_worker().await?;

    let closed = Closed {
        target: ingress.target.clone(),
        connections: CONNECTIONS,
        lasts,
        order: ground.numbers.distinct(),
    };
    let tally = closed.run().await?;
    let recorded_rate = events_recorded(&[&worker]).await? / lasts.as_secs_f64();
    worker.end().await?;
    ingress.running.end().await?;

    // What the worker had no time for is still in the queue.
    let accepted = tally.rate();
    let percentiles = [50.0, 99.0].map(|percent| tally.percentile_ms(percent));
    let mut found = recorded(&site.database.connect().await).await?;
    found.extend(empty_queue(ground.servers.amqp_url(), &site.payments_queue()).await?);
    let audit = Audit::of(tally.kept, found);

    let mut accepting = Row::new("sustained_accepted", "webhooks/s", accepted).audited(audit);
    [accepting.p50_ms, accepting.p99_ms] = percentiles.map(Some);
    let recording = Row::new("sustained_recorded", "events/s", recorded_rate)
        .against("accepted", accepted)
        .aims(&[Aim::RatioAtLeast(0.95)]);
    Ok(vec![accepting, recording])
}
