//! From the answer 200 to the payment that everybody can read as a success.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use risiti_testkit::eventually;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::{Instant, sleep};
use tokio_postgres::Client;

use crate::audit::{Audit, recorded};
use crate::ground::Ground;
use crate::load::{Closed, Open, Tally, number_of, receipt};
use crate::programs::Ingress;
use crate::results::{Aim, Row};
use crate::site::Site;

const PER_SECOND: u32 = 500;
const CONNECTIONS: usize = 64;
const LASTS: Duration = Duration::from_secs(15);
/// Between two looks at the view. A latency is too long by up to one of them.
const LOOK: Duration = Duration::from_millis(5);
/// Longest wait for the last payments.
const LAST_PAYMENTS: Duration = Duration::from_secs(60);
const FIRST_PAYMENT: Duration = Duration::from_secs(60);

pub(crate) async fn latency(ground: &Ground) -> anyhow::Result<Vec<Row>> {
    let site = Site::new(ground, 1).await?;
    let ingress = site.ingress(&[]).await?;
    let worker = site.ledger_worker().await?;
    let client = site.database.connect().await;
    let watch = Watch::learn(&site, &ingress, client).await?;

    let (sender, answered) = channel(PER_SECOND as usize * LASTS.as_secs() as usize);
    let open = Open {
        target: ingress.target.clone(),
        connections: CONNECTIONS,
        per_second: PER_SECOND,
        lasts: LASTS,
        answered: Some(sender),
    };
    let (tally, seen) = tokio::join!(open.run(&ground.numbers), watch.follow(answered));
    let (tally, seen) = (tally?, seen?);
    ensure!(tally.not_kept() == 0, "{} were refused", tally.not_kept());
    worker.end().await?;
    ingress.end().await?;

    let client = site.database.connect().await;
    let audit = Audit::of(tally.kept, recorded(&client).await?);
    let mut row = Row::new("success_latency", "ms p99", seen.percentile_ms(99.0))
        .aims(&[Aim::ValueAtMost(250.0)])
        .audited(audit);
    row.p50_ms = Some(seen.percentile_ms(50.0));
    row.p99_ms = Some(seen.percentile_ms(99.0));
    Ok(vec![
        row.note(format!("slowest {:.0} ms", seen.slowest_ms())),
    ])
}

/// Looks up payments by their money key, which the view finds without reading all of them.
struct Watch {
    client: Client,
    merchant: String,
    /// What stands before and after the receipt in a money key.
    around: [String; 2],
}

impl Watch {
    /// Delivers one webhook and looks how its payment is named.
    async fn learn(site: &Site<'_>, ingress: &Ingress, client: Client) -> anyhow::Result<Self> {
        let first = Closed {
            target: ingress.target.clone(),
            connections: 1,
            lasts: FIRST_PAYMENT,
            order: site.ground.numbers.count(1),
        };
        first.run().await?;
        let statement = "SELECT merchant, money_key, receipt FROM report_payments";
        let row = eventually("the first payment", FIRST_PAYMENT, async || {
            client.query_opt(statement, &[]).await.ok().flatten()
        })
        .await;
        let (key, receipt): (&str, &str) = (row.get(1), row.get(2));
        let (before, after) = key
            .split_once(receipt)
            .context("a money key contains the receipt")?;
        Ok(Self {
            merchant: row.get(0),
            around: [before.to_owned(), after.to_owned()],
            client,
        })
    }

    /// Measures until the load has ended and all its payments were seen.
    async fn follow(self, mut answered: Receiver<(u32, Instant)>) -> anyhow::Result<Tally> {
        let statement = self
            .client
            .prepare(
                "SELECT receipt FROM report_payments WHERE merchant = $1 AND provider = 'daraja' \
                 AND money_key = ANY($2) AND state = 'success'",
            )
            .await?;
        let mut seen = Tally::new(LASTS);
        let mut waiting: HashMap<u32, Instant> = HashMap::new();
        let mut last_seen = Instant::now();
        while !answered.is_closed() || !answered.is_empty() || !waiting.is_empty() {
            while let Ok((number, at)) = answered.try_recv() {
                waiting.insert(number, at);
            }
            let keys: Vec<String> = waiting.keys().map(|&number| self.key(number)).collect();
            let rows = self
                .client
                .query(&statement, &[&self.merchant, &keys])
                .await?;
            let now = Instant::now();
            for row in rows {
                let number = number_of(row.get(0)).context("a payment of this run")?;
                if let Some(at) = waiting.remove(&number) {
                    seen.answered(number, 200, now.saturating_duration_since(at), true);
                    last_seen = now;
                }
            }
            let silent = !waiting.is_empty() && last_seen.elapsed() > LAST_PAYMENTS;
            ensure!(
                !silent,
                "{} payments did not become a success",
                waiting.len()
            );
            sleep(LOOK).await;
        }
        Ok(seen)
    }

    fn key(&self, number: u32) -> String {
        let [before, after] = &self.around;
        format!("{before}{}{after}", receipt(number))
    }
}
