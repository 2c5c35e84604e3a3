//! Ingress without a broker, so that every webhook goes to the spool, against bare fsyncs.

use std::time::Duration;

use risiti_testkit::messages_in;
use tokio::time::{Instant, sleep};

use crate::audit::{Audit, empty_queue};
use crate::ground::Ground;
use crate::load::Closed;
use crate::measures::rounds::{ROUNDS, median};
use crate::results::{Aim, Row};
use crate::site::{AMQP_URL, Site};
use crate::yardsticks;

const CONNECTIONS: usize = 256;
const LASTS: Duration = Duration::from_secs(4);
/// Bytes of a webhook with its envelope, roughly.
const ENTRY_BYTES: usize = 900;
/// An address at which no broker answers.
const NO_BROKER: &str = "amqp://127.0.0.1:9/%2f";
/// Longest wait for one more webhook out of the spool.
const SILENCE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(200);

pub(crate) async fn append(ground: &Ground) -> anyhow::Result<Vec<Row>> {
    let site = Site::new(ground, 1).await?;
    // The first start makes the queues, which a spool drains into later.
    site.ingress(&[]).await?.running.end().await?;

    let ingress = site.ingress(&[(AMQP_URL, NO_BROKER)]).await?;
    let (mut rates, mut fsyncs, mut kept) = (Vec::new(), Vec::new(), Vec::new());
    let mut groups = Vec::new();
    for _ in 0..ROUNDS {
        let commits = || ingress.running.metric("risiti_spool_commits_total", &[]);
        let before = commits().await?;
        let closed = Closed {
            target: ingress.target.clone(),
            connections: CONNECTIONS,
            lasts: LASTS,
            order: ground.numbers.distinct(),
        };
        let tally = closed.run().await?;
        let group = (tally.kept.len() as f64 / (commits().await? - before)).round();
        groups.push(group);
        rates.push(tally.rate());
        kept.extend(tally.kept);
        fsyncs.push(fsync(ground, &site, group).await?);
    }
    ingress.running.end().await?;

    let audit = drain(&site, kept).await?;
    let row = Row::new("spool_append", "webhooks/s", median(&rates))
        .against("fsyncs of such groups", median(&fsyncs))
        .aims(&[Aim::RatioAtLeast(0.7)])
        .audited(audit)
        .note(format!(
            "over HTTP; {} webhooks share an fsync",
            median(&groups)
        ));
    Ok(vec![row])
}

async fn fsync(ground: &Ground, site: &Site<'_>, group: f64) -> anyhow::Result<f64> {
    let dir = site.data.path().to_string_lossy();
    let (group, entry) = (group.max(1.0).to_string(), ENTRY_BYTES.to_string());
    let mut args = vec!["fsync", "--dir", &dir];
    args.extend(["--group", &group, "--entry-bytes", &entry]);
    Ok(yardsticks::pace(ground, &args).await?.per_second())
}

/// Lets the spool drain into the queue, and looks for every webhook there.
async fn drain(site: &Site<'_>, kept: Vec<u32>) -> anyhow::Result<Audit> {
    let ingress = site.ingress(&[]).await?;
    let (amqp_url, queue) = (site.ground.servers.amqp_url(), site.payments_queue());
    let mut queued = 0;
    let mut grew = Instant::now();
    // What does not come is found missing below.
    while (queued as usize) < kept.len() && grew.elapsed() < SILENCE {
        sleep(LOOK).await;
        let now = messages_in(amqp_url, &queue).await.unwrap_or(queued);
        if now > queued {
            grew = Instant::now();
        }
        queued = now;
    }
    ingress.running.end().await?;
    let found = empty_queue(amqp_url, &queue).await?;
    Ok(Audit::of(kept, found))
}
