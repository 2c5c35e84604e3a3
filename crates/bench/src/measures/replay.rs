//! A replay of many dead letters at a paced rate, and live traffic beside it.

use std::cell::Cell;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use risiti_testkit::eventually;
use tokio::time::Instant;

use crate::audit::{Audit, recorded};
use crate::control;
use crate::ground::Ground;
use crate::load::{Open, Tally};
use crate::measures::etims::{Simulator, record_invoices};
use crate::programs::Ingress;
use crate::results::{Aim, Row};
use crate::site::Site;

const DEVICES: u32 = 20;
/// What `--rate` says, dead letters a second.
const PACED: u32 = 200;
const LIVE: u32 = 200;
const CONNECTIONS: usize = 64;
/// Live traffic is sent in stretches of this length, until the replay has ended.
const LASTS: Duration = Duration::from_secs(5);
/// Longest wait until the tax authority has refused every invoice.
const REFUSED: Duration = Duration::from_secs(3600);

pub(crate) async fn dead_letters(ground: &Ground) -> anyhow::Result<Vec<Row>> {
    let count = if ground.full { 100_000 } else { 3_000 };
    let simulator = Simulator::start(ground, "1ms").await?;
    let site = Site::new(ground, DEVICES).await?;
    site.add_devices(simulator.address, true).await?;
    let mut kept = make_dead_letters(&site, &simulator, count).await?;

    let ingress = site.ingress(&[]).await?;
    let workers = [site.ledger_worker().await?, site.etims_worker().await?];
    let calm = live(ground, &ingress).await?;
    let started = Instant::now();
    let rate = format!("{PACED}/s");
    let run = ["run", "--rate", &rate, "--reason", "benchmark", "--yes"];
    let lasted = Cell::new(None);
    let replaying = async {
        let report = site.command("risiti-replay", &run).await;
        lasted.set(Some(started.elapsed()));
        report
    };
    let beside = async {
        let mut beside = live(ground, &ingress).await?;
        while lasted.get().is_none() {
            beside.add(live(ground, &ingress).await?);
        }
        anyhow::Ok(beside)
    };
    let (report, beside) = tokio::join!(replaying, beside);
    let (report, beside) = (report?, beside?);
    let lasted = lasted.get().context("a replay that ended has lasted")?;
    ensure!(
        report["replayed"].as_u64() == Some(count.into()),
        "not all {count} were replayed: {report}"
    );

    for worker in workers {
        worker.end().await?;
    }
    ingress.end().await?;
    site.record_everything().await?;
    let p99 = [&calm, &beside].map(|tally| tally.percentile_ms(99.0));
    kept.extend([calm, beside].into_iter().flat_map(|tally| tally.kept));
    let audit = Audit::of(kept, recorded(&site.database.connect().await).await?);
    let rate = f64::from(count) / lasted.as_secs_f64();
    Ok(vec![
        Row::new("replay_rate", "dead letters/s", rate)
            .against("the rate asked for", PACED.into())
            .aims(&[Aim::RatioAtLeast(0.95)])
            .audited(audit)
            .note(format!("{count} dead letters")),
        Row::new("replay_live", "ms p99", p99[1])
            .against("before the replay", p99[0])
            .aims(&[Aim::RatioAtMost(1.2)]),
    ])
}

/// Makes so many dead letters: invoices that the tax authority refuses. Returns their payments.
async fn make_dead_letters(
    site: &Site<'_>,
    simulator: &Simulator,
    count: u32,
) -> anyhow::Result<Vec<u32>> {
    let rule = r#"{"match":{"call":"sale"},"fault":{"envelope":{"code":"891","message":"no"}}}"#;
    control::request(simulator.address, "POST", "/_sim/faults", rule).await?;
    let kept = record_invoices(site, count).await?;
    let worker = site.etims_worker().await?;
    let client = site.database.connect().await;
    let statement = "SELECT count(*) FROM report_invoices WHERE state = 'dead'";
    eventually("all invoices are dead", REFUSED, async || {
        let dead: i64 = client.query_one(statement, &[]).await.ok()?.get(0);
        (dead == i64::from(count)).then_some(())
    })
    .await;
    worker.end().await?;
    control::request(simulator.address, "DELETE", "/_sim/faults", "").await?;
    Ok(kept)
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
