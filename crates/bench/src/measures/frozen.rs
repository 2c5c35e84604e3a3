//! The broker freezes for seconds under many connections, with an idle spool beside it.

use std::time::Duration;

use risiti_testkit::Server;
use tokio::time::sleep;

use crate::audit::{Audit, recorded};
use crate::ground::Ground;
use crate::load::Closed;
use crate::programs::Ingress;
use crate::results::{Aim, Row};
use crate::site::Site;

const CONNECTIONS: usize = 2_000;
const BEFORE: Duration = Duration::from_secs(3);
const FROZEN: Duration = Duration::from_secs(6);
const AFTER: Duration = Duration::from_secs(3);
/// Every webhook is answered within this (protocol A5).
const ANSWERED_WITHIN_MS: f64 = 3_000.0;

pub(crate) async fn broker(ground: &Ground) -> anyhow::Result<Vec<Row>> {
    let site = Site::new(ground, 1).await?;
    let ingress = site.ingress(&[]).await?;
    let closed = Closed {
        target: ingress.target.clone(),
        connections: CONNECTIONS,
        lasts: BEFORE + FROZEN + AFTER,
        order: ground.numbers.distinct(),
    };
    let freezing = async {
        sleep(BEFORE).await;
        ground.servers.freeze(Server::RabbitMq).await;
        sleep(FROZEN).await;
        ground.servers.thaw(Server::RabbitMq).await;
    };
    let (tally, ()) = tokio::join!(closed.run(), freezing);
    let tally = tally?;

    let statuses = format!("{:?}, {} unanswered", tally.statuses, tally.unanswered);
    let (not_kept, slowest) = (tally.not_kept(), tally.slowest_ms());
    let spooled = spooled(&ingress).await?;
    let audit = settle(&site, ingress, tally.kept).await?;
    let refused = Row::new("broker_frozen", "answers other than 200", not_kept as f64)
        .aims(&[Aim::ValueAtMost(0.0)])
        .audited(audit)
        .note(format!(
            "{statuses}; {spooled} of the answers 200 came from the spool"
        ));
    let late = Row::new("broker_frozen_slowest", "ms", slowest)
        .aims(&[Aim::ValueAtMost(ANSWERED_WITHIN_MS)]);
    Ok(vec![refused, late])
}

async fn spooled(ingress: &Ingress) -> anyhow::Result<f64> {
    let labels = ["outcome=\"spooled\""];
    ingress
        .running
        .metric("risiti_webhooks_total", &labels)
        .await
}

/// Lets the spool and the queue run empty, and compares what was recorded with the answers. Only
/// the ledger can tell that a message which the broker has twice is one payment.
async fn settle(site: &Site<'_>, ingress: Ingress, answered: Vec<u32>) -> anyhow::Result<Audit> {
    ingress.end().await?;
    site.record_everything().await?;
    let client = site.database.connect().await;
    Ok(Audit::of(answered, recorded(&client).await?))
}
