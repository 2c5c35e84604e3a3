//! A long backlog is drained while live traffic goes on.

use std::time::Duration;

use tokio::time::Instant;

use crate::audit::{Audit, recorded};
use crate::ground::Ground;
use crate::load::{Open, Tally};
use crate::measures::ledger::{events_recorded, fill, reach};
use crate::programs::Ingress;
use crate::results::{Aim, Row};
use crate::site::Site;

const LIVE: u32 = 200;
const CONNECTIONS: usize = 64;
const LASTS: Duration = Duration::from_secs(10);

pub(crate) async fn drain(ground: &Ground) -> anyhow::Result<Vec<Row>> {
    let count = if ground.full { 1_000_000 } else { 20_000 };
    let site = Site::new(ground, 1).await?;
    let mut kept = fill(&site, count).await?;

    let ingress = site.ingress(&[]).await?;
    let worker = site.ledger_worker().await?;
    let started = Instant::now();
    // Live traffic goes on until the backlog, which is in front of it, is recorded.
    let mut beside = live(ground, &ingress).await?;
    while events_recorded(&[&worker]).await? < f64::from(count) {
        beside.add(live(ground, &ingress).await?);
    }
    let lasted = started.elapsed().as_secs_f64();
    let rate = events_recorded(&[&worker]).await? / lasted;
    reach(&[&worker], f64::from(count) + beside.kept.len() as f64).await?;
    let calm = live(ground, &ingress).await?;
    worker.end().await?;
    ingress.end().await?;
    site.record_everything().await?;

    let p99 = [&calm, &beside].map(|tally| tally.percentile_ms(99.0));
    kept.extend([calm, beside].into_iter().flat_map(|tally| tally.kept));
    let audit = Audit::of(kept, recorded(&site.database.connect().await).await?);
    Ok(vec![
        Row::new("backlog_drain", "events/s", rate)
            .audited(audit)
            .note(format!(
                "{count} events and {LIVE} live webhooks/s for {lasted:.0} s"
            )),
        Row::new("backlog_live", "ms p99", p99[1])
            .against("without a backlog", p99[0])
            .aims(&[Aim::RatioAtMost(1.2)]),
    ])
}

async fn live(ground: &Ground, ingress: &Ingress) -> anyhow::Result<Tally> {
    let open = Open {
        target: ingress.target.clone(),
        connections: CONNECTIONS,
        per_second: LIVE,
        lasts: LASTS,
        answered: None,
    };
    open.run(&ground.numbers).await
}
