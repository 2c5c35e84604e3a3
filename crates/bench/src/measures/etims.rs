//! Filing with the simulated tax authority: how close to what its latency and the cap allow.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use risiti_testkit::Process;
use tokio::time::{Instant, sleep};

use crate::audit::{Audit, recorded};
use crate::control;
use crate::ground::Ground;
use crate::measures::ledger::{fill, reach};
use crate::programs::Running;
use crate::results::{Aim, Row};
use crate::site::Site;

/// The cap of calls in flight per host, which is the default of the eTIMS worker.
const CAP: u32 = 50;
/// Until all lanes are busy.
const RAMP: Duration = Duration::from_secs(3);
const WINDOW: Duration = Duration::from_secs(20);

/// A simulated tax authority.
pub(crate) struct Simulator {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

impl Simulator {
    pub(crate) async fn start(ground: &Ground, latency: &str) -> anyhow::Result<Self> {
        let mut process = ground
            .program("etims-sim")?
            .args(["--listen", "127.0.0.1:0", "--latency", latency])
            .start();
        let address = process.address_after("listening on http://").await;
        Ok(Self { process, address })
    }

    async fn stat(&self, name: &str) -> anyhow::Result<u64> {
        let stats = control::get(self.address, "/_sim/stats").await?;
        let stats: serde_json::Value = serde_json::from_str(&stats)?;
        stats[name]
            .as_u64()
            .with_context(|| format!("the simulator counts no {name}"))
    }

    pub(crate) async fn accepted(&self) -> anyhow::Result<u64> {
        self.stat("sales_accepted").await
    }
}

pub(crate) async fn devices_60(ground: &Ground) -> anyhow::Result<Vec<Row>> {
    let filing = Filing {
        name: "etims_60_devices",
        devices: 60,
        latency_ms: 500,
    };
    Ok(vec![filing.measure(ground).await?])
}

pub(crate) async fn one_device(ground: &Ground) -> anyhow::Result<Vec<Row>> {
    let filing = Filing {
        name: "etims_one_device",
        devices: 1,
        latency_ms: 100,
    };
    Ok(vec![filing.measure(ground).await?])
}

struct Filing {
    name: &'static str,
    devices: u32,
    latency_ms: u32,
}

impl Filing {
    /// Receipts a second when every call starts the moment the last one has ended.
    fn possible(&self) -> f64 {
        f64::from(self.devices.min(CAP)) * 1000.0 / f64::from(self.latency_ms)
    }

    async fn measure(&self, ground: &Ground) -> anyhow::Result<Row> {
        let simulator = Simulator::start(ground, &format!("{}ms", self.latency_ms)).await?;
        let site = Site::new(ground, self.devices).await?;
        site.add_devices(simulator.address, true).await?;
        // Half as much again as can be filed, because devices do not all get the same turns.
        let seconds = (RAMP + WINDOW).as_secs_f64();
        let invoices = (self.possible() * seconds * 1.5) as u32 / self.devices * self.devices;
        let answered = record_invoices(&site, invoices).await?;

        let worker = site.etims_worker().await?;
        sleep(RAMP).await;
        let (before, start) = (simulator.accepted().await?, Instant::now());
        sleep(WINDOW).await;
        let filed = simulator.accepted().await? - before;
        let rate = filed as f64 / start.elapsed().as_secs_f64();
        end(worker, &simulator).await?;

        let client = site.database.connect().await;
        let row = Row::new(self.name, "receipts/s", rate)
            .against("what latency and cap allow", self.possible())
            .aims(&[Aim::RatioAtLeast(0.97)])
            .audited(Audit::of(answered, recorded(&client).await?));
        Ok(row)
    }
}

/// Makes a backlog of pending invoices, and returns the payments behind them.
pub(crate) async fn record_invoices(site: &Site<'_>, count: u32) -> anyhow::Result<Vec<u32>> {
    let answered = fill(site, count).await?;
    let worker = site.ledger_worker().await?;
    reach(&[&worker], count.into()).await?;
    worker.end().await?;
    Ok(answered)
}

/// Ends the worker, and checks that the authority saw no mistake of it.
async fn end(worker: Running, simulator: &Simulator) -> anyhow::Result<()> {
    worker.end().await?;
    let mistakes = simulator.stat("protocol_errors").await?;
    anyhow::ensure!(mistakes == 0, "the simulator saw {mistakes} mistakes");
    Ok(())
}
