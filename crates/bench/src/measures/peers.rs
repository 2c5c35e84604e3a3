//! Risiti beside two programs in the usual shape, on the same servers in the same run.
//!
//! They are installed with npm and pip, so they are measured only when asked for.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use risiti_testkit::{Process, Program, TestDatabase};

use crate::ground::Ground;
use crate::load::{Closed, Target};
use crate::measures::sustained::{self, Sustained};
use crate::results::{Aim, Row};

const CONNECTIONS: usize = 64;
const LASTS: Duration = Duration::from_secs(20);
/// Longest wait for a peer to be ready.
const READY: Duration = Duration::from_secs(60);

/// A table without what Risiti's schema has, so that the peer is not slowed down by it.
const TABLE: &str = "CREATE TABLE payments (checkout_id text PRIMARY KEY, receipt text NOT NULL, \
                     amount double precision NOT NULL, phone text, body jsonb NOT NULL, \
                     recorded_at timestamptz NOT NULL DEFAULT now())";

pub(crate) async fn express(ground: &Ground) -> anyhow::Result<Vec<Row>> {
    let folder = copy(ground, "express")?;
    let install = ["install", "--no-audit", "--no-fund", "--loglevel=error"];
    let npm = Program::at(Path::new("npm")).args(install);
    run(npm.args(["--prefix".to_owned(), text(&folder)])).await?;

    let site = PeerSite::new(ground).await?;
    let node = |script: &str| site.start("node", &folder.join(script));
    let mut worker = node("worker.js");
    worker.line_with("worker ready", READY).await;
    let peer = site.measure(node("server.js")).await?;
    worker.kill();

    let ours = sustained::measure(ground, LASTS).await?;
    Ok(vec![processed("peer_express", &ours, &peer, 3.0)])
}

pub(crate) async fn fastapi(ground: &Ground) -> anyhow::Result<Vec<Row>> {
    let folder = copy(ground, "fastapi")?;
    let venv = folder.join("venv");
    let make = Program::at(Path::new("python3")).args(["-m", "venv"]);
    run(make.arg(text(&venv))).await?;
    let pip = Program::at(&venv.join("bin/pip")).args(["install", "--quiet", "-r"]);
    run(pip.arg(text(&folder.join("requirements.txt")))).await?;

    let site = PeerSite::new(ground).await?;
    let python = text(&venv.join("bin/python"));
    let peer = site
        .measure(site.start(&python, &folder.join("server.py")))
        .await?;

    let ours = sustained::measure(ground, LASTS).await?;
    let alone = sustained::accepting_alone(ground, LASTS).await?;
    let accepted = Row::new("peer_fastapi_accepted", "webhooks/s", alone)
        .against("accepted by the peer", peer.accepted)
        .aims(&[Aim::RatioAtLeast(10.0)])
        .note("ingress without a worker beside it");
    Ok(vec![processed("peer_fastapi", &ours, &peer, 6.0), accepted])
}

/// Compares what is both accepted and recorded.
fn processed(name: &str, ours: &Sustained, peer: &Rates, at_least: f64) -> Row {
    Row::new(name, "webhooks/s", ours.accepted.min(ours.recorded))
        .against(
            "accepted and recorded by the peer",
            peer.accepted.min(peer.recorded),
        )
        .aims(&[Aim::RatioAtLeast(at_least)])
        .note(format!(
            "peer: {:.0} accepted, {:.0} recorded; ours: {:.0} accepted, {:.0} recorded",
            peer.accepted, peer.recorded, ours.accepted, ours.recorded
        ))
}

struct Rates {
    accepted: f64,
    recorded: f64,
}

/// The servers as a peer uses them.
struct PeerSite<'a> {
    ground: &'a Ground,
    database: TestDatabase,
}

impl<'a> PeerSite<'a> {
    async fn new(ground: &'a Ground) -> anyhow::Result<Self> {
        let database = TestDatabase::create_on(ground.servers.postgres_url()).await;
        database.connect().await.batch_execute(TABLE).await?;
        Ok(Self { ground, database })
    }

    fn start(&self, interpreter: &str, script: &Path) -> Process {
        let name = script.file_name().unwrap_or_default().to_string_lossy();
        let log = format!("peer-{name}-{}.log", self.ground.count());
        Program::at(Path::new("setpriv"))
            .args(["--pdeathsig", "KILL", "--", interpreter])
            .arg(text(script))
            .env("PEER_REDIS_URL", self.ground.servers.redis_url())
            .env("PEER_DATABASE_URL", self.database.url())
            .log_to(&self.ground.logs().join(log))
            .start()
    }

    async fn measure(&self, mut server: Process) -> anyhow::Result<Rates> {
        let address = server.address_after("listening on ").await;
        let path = format!("/webhooks/daraja/{}/stk", "0".repeat(32));
        let closed = Closed {
            target: Target::new(address, vec![path]),
            connections: CONNECTIONS,
            lasts: LASTS,
            order: self.ground.numbers.distinct(),
        };
        let tally = closed.run().await?;
        ensure!(tally.not_kept() == 0, "a peer refused {}", tally.not_kept());

        let client = self.database.connect().await;
        let count = client.query_one("SELECT count(*) FROM payments", &[]);
        let recorded: i64 = count.await?.get(0);
        server.kill();
        Ok(Rates {
            accepted: tally.rate(),
            recorded: recorded as f64 / LASTS.as_secs_f64(),
        })
    }
}

/// Copies a peer into the folder of the run, where it is installed.
fn copy(ground: &Ground, name: &str) -> anyhow::Result<PathBuf> {
    let from = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("peers")
        .join(name);
    let into = ground.dir.join("peers").join(name);
    std::fs::create_dir_all(&into)?;
    for file in std::fs::read_dir(&from)?.flatten() {
        let copied = std::fs::copy(file.path(), into.join(file.file_name()));
        copied.with_context(|| format!("failed to copy {}", file.path().display()))?;
    }
    Ok(into)
}

async fn run(program: Program) -> anyhow::Result<()> {
    let output = program.output().await;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "a peer was not installed: {}",
        said.trim()
    );
    Ok(())
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
