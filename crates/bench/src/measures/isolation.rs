//! How long an acknowledgement takes while something behind ingress stands still.

use std::time::Duration;

use risiti_testkit::Server;
use tokio::time::sleep;

use crate::audit::{Audit, recorded};
use crate::ground::Ground;
use crate::load::{Open, Tally};
use crate::measures::etims::Simulator;
use crate::programs::{Ingress, Running};
use crate::results::{Aim, Row};
use crate::site::Site;

const PER_SECOND: u32 = 300;
const CONNECTIONS: usize = 256;
const LASTS: Duration = Duration::from_secs(3);
const ROUNDS: usize = 3;
const MERCHANTS: u32 = 4;
/// How long a trouble is over before the next load.
const CATCH_UP: Duration = Duration::from_secs(1);

#[derive(Clone, Copy)]
enum Trouble {
    KraStalled,
    PostgresFrozen,
    WorkersStopped,
}

impl Trouble {
    const ALL: [Self; 3] = [Self::KraStalled, Self::PostgresFrozen, Self::WorkersStopped];

    fn row(self) -> &'static str {
        match self {
            Self::KraStalled => "ack_kra_stalled",
            Self::PostgresFrozen => "ack_postgres_frozen",
            Self::WorkersStopped => "ack_workers_stopped",
        }
    }
}

pub(crate) async fn acknowledging(ground: &Ground) -> anyhow::Result<Vec<Row>> {
    let simulator = Simulator::start(ground, "20ms").await?;
    let site = Site::new(ground, MERCHANTS).await?;
    site.add_devices(simulator.address, true).await?;
    let stack = Stack {
        ground,
        simulator,
        ingress: site.ingress(&[]).await?,
        workers: [site.ledger_worker().await?, site.etims_worker().await?],
    };
    stack.load().await?;

    let new_tally = || Tally::new(Duration::ZERO);
    let mut calm = new_tally();
    let mut troubled = Trouble::ALL.map(|_| new_tally());
    for _ in 0..ROUNDS {
        for (trouble, tally) in Trouble::ALL.into_iter().zip(&mut troubled) {
            calm.add(stack.load().await?);
            stack.begin(trouble).await;
            let loaded = stack.load().await;
            stack.end(trouble).await;
            tally.add(loaded?);
            sleep(CATCH_UP).await;
        }
    }

    let Stack {
        ingress, workers, ..
    } = stack;
    for worker in workers {
        worker.end().await?;
    }
    ingress.end().await?;
    site.record_everything().await?;
    let kept = troubled.iter().flat_map(|tally| tally.kept.iter().copied());
    let kept = kept.chain(calm.kept.iter().copied()).collect();
    let audit = Audit::of(kept, recorded(&site.database.connect().await).await?);
    Ok(rows(&calm, &troubled, audit))
}

fn rows(calm: &Tally, troubled: &[Tally], audit: Audit) -> Vec<Row> {
    let rows = Trouble::ALL
        .into_iter()
        .zip(troubled)
        .map(|(trouble, tally)| {
            let mut row = Row::new(trouble.row(), "ms p99", tally.percentile_ms(99.0))
                .against("calm", calm.percentile_ms(99.0))
                .aims(&[Aim::RatioAtMost(1.1)])
                .audited(audit);
            if tally.not_kept() > 0 {
                row = row.note(format!(
                    "{} webhooks were not answered 200",
                    tally.not_kept()
                ));
            }
            row
        });
    rows.collect()
}

/// All programs at work.
struct Stack<'a> {
    ground: &'a Ground,
    simulator: Simulator,
    ingress: Ingress,
    workers: [Running; 2],
}

impl Stack<'_> {
    async fn load(&self) -> anyhow::Result<Tally> {
        let open = Open {
            target: self.ingress.target.clone(),
            connections: CONNECTIONS,
            per_second: PER_SECOND,
            lasts: LASTS,
            answered: None,
        };
        open.run(&self.ground.numbers).await
    }

    async fn begin(&self, trouble: Trouble) {
        match trouble {
            Trouble::KraStalled => self.simulator.process.freeze(),
            Trouble::PostgresFrozen => self.ground.servers.freeze(Server::Postgres).await,
            Trouble::WorkersStopped => self
                .workers
                .iter()
                .for_each(|worker| worker.process.freeze()),
        }
    }

    async fn end(&self, trouble: Trouble) {
        match trouble {
            Trouble::KraStalled => self.simulator.process.thaw(),
            Trouble::PostgresFrozen => self.ground.servers.thaw(Server::Postgres).await,
            Trouble::WorkersStopped => self.workers.iter().for_each(|worker| worker.process.thaw()),
        }
    }
}
