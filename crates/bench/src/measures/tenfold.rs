//! Every webhook delivered ten times: how much more is published and written than for one delivery.

use std::time::Duration;

use anyhow::ensure;
use risiti_testkit::eventually;

use crate::audit::{Audit, recorded};
use crate::ground::Ground;
use crate::load::{Closed, Order};
use crate::measures::ledger::reach;
use crate::programs::Ingress;
use crate::results::{Aim, Row};
use crate::site::Site;

const PAYMENTS: u32 = 4_000;
const CONNECTIONS: usize = 64;
/// Ten deliveries: five at once, while the first is still on its way, and five later.
const BURSTS: u32 = 2;
const BURST: u32 = 5;
/// Longest wait until the database has counted what a session wrote.
const COUNTED: Duration = Duration::from_secs(30);

/// What some webhooks caused.
struct Work {
    publishes: f64,
    rows_written: f64,
    audit: Audit,
}

pub(crate) async fn delivery(ground: &Ground) -> anyhow::Result<Vec<Row>> {
    let site = Site::new(ground, 1).await?;
    let ingress = site.ingress(&[]).await?;
    let once = work(&site, &ingress, ground.numbers.count(PAYMENTS)).await?;
    let order = ground.numbers.repeated(PAYMENTS, BURSTS, BURST);
    let tenfold = work(&site, &ingress, order).await?;
    ingress.end().await?;

    let row = |name: &str, unit: &str, tenfold: f64, once: f64| {
        Row::new(name, unit, tenfold)
            .against("one delivery", once)
            .aims(&[Aim::RatioAtMost(1.05)])
    };
    Ok(vec![
        row(
            "tenfold_publishes",
            "publishes",
            tenfold.publishes,
            once.publishes,
        )
        .audited(tenfold.audit),
        row(
            "tenfold_writes",
            "rows",
            tenfold.rows_written,
            once.rows_written,
        ),
    ])
}

async fn work(site: &Site<'_>, ingress: &Ingress, order: Order) -> anyhow::Result<Work> {
    let publishes = || ingress.running.metric("risiti_publish_seconds_count", &[]);
    let (published_before, written_before) = (publishes().await?, rows_written(site).await?);
    let worker = site.ledger_worker().await?;
    let closed = Closed {
        target: ingress.target.clone(),
        connections: CONNECTIONS,
        lasts: Duration::from_secs(3600),
        order,
    };
    let tally = closed.run().await?;
    ensure!(tally.not_kept() == 0, "{} were refused", tally.not_kept());
    reach(&[&worker], PAYMENTS.into()).await?;
    // Its sessions tell the database what they wrote when they end.
    worker.end().await?;
    site.record_everything().await?;

    let client = site.database.connect().await;
    Ok(Work {
        publishes: publishes().await? - published_before,
        rows_written: rows_written(site).await? - written_before,
        audit: Audit::of(tally.kept, recorded(&client).await?),
    })
}

/// Rows inserted, updated and deleted in this database so far, once the count has come to rest.
async fn rows_written(site: &Site<'_>) -> anyhow::Result<f64> {
    let client = site.database.connect().await;
    let statement = "SELECT (tup_inserted + tup_updated + tup_deleted)::float8 \
                     FROM pg_stat_database WHERE datname = current_database()";
    let mut last = -1.0;
    let count = eventually("the database has counted its rows", COUNTED, async || {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let count: f64 = client.query_one(statement, &[]).await.ok()?.get(0);
        let at_rest = count == last;
        last = count;
        at_rest.then_some(count)
    });
    Ok(count.await)
}
