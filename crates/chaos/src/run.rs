//! The order of things: stage, traffic with faults, quiet, replay, audit, table.

use std::cell::{Cell, RefCell};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{bail, ensure};
use risiti_testkit::http_status;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::cli::RunArgs;
use crate::diary::Diary;
use crate::ground::SmallDisk;
use crate::programme::{Program, programme};
use crate::servers::Servers;
use crate::stage::Recipes;
use crate::summary::Summary;
use crate::supervise::{GLANCE, Troupe};
use crate::table;

/// All programs are started again and ready within this, after the worst.
const PATIENCE: Duration = Duration::from_secs(120);
/// Requests in flight. Ten seconds of a gateway's patience at the usual rate.
const IN_FLIGHT: &str = "600";
/// Of a step that somebody's kill may fail.
pub(crate) const TRIES: u32 = 8;

/// Everything that a fault may touch.
pub(crate) struct Scene {
    pub(crate) dir: PathBuf,
    pub(crate) seed: u64,
    pub(crate) recipes: Rc<Recipes>,
    pub(crate) troupe: RefCell<Troupe>,
    pub(crate) servers: Rc<Servers>,
    pub(crate) diary: Rc<Diary>,
    pub(crate) http: reqwest::Client,
    pub(crate) has_small_disk: bool,
    /// The tax authority's bad afternoon is not over.
    pub(crate) bad_weather: Cell<bool>,
    pub(crate) spooled: Cell<u64>,
}

pub(crate) fn draw_seed() -> u64 {
    rand::random_range(0..1_000_000)
}

pub(crate) fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    // One thread: it is the parent of all programs, which end with it.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let local = LocalSet::new();
    let seed = args.plan.seed.unwrap_or_else(draw_seed);
    eprintln!(
        "seed {seed}: make chaos SECONDS={} SEED={seed}",
        args.plan.seconds
    );
    let outcome = local.block_on(&runtime, async {
        let (mut interrupt, mut terminate) = (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        );
        let work = tokio::task::spawn_local(with_servers(args, seed));
        let abort = work.abort_handle();
        tokio::pin!(work);
        let stopped = tokio::select! {
            done = &mut work => return done?.map(Some),
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        };
        eprintln!("{stopped}: stopping everything");
        abort.abort();
        let _ = work.await;
        Ok::<_, anyhow::Error>(None)
    });
    // Tasks of the local set hold processes and servers.
    drop(local);
    eprintln!("seed {seed}");
    let Some(summary) = outcome? else {
        return Ok(ExitCode::from(130));
    };
    Ok(if summary.passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn with_servers(args: RunArgs, seed: u64) -> anyhow::Result<Summary> {
    let _ = fs::remove_dir_all(args.dir.join("log"));
    fs::create_dir_all(args.dir.join("log"))?;
    let dir = args.dir.canonicalize()?;
    let diary = Rc::new(Diary::create(&dir.join("faults.jsonl"))?);
    diary.tell("starting PostgreSQL, RabbitMQ and Redis");
    let servers = Rc::new(Servers::start(&dir.join("servers"), &dir.join("log")).await?);
    let recipes = Rc::new(Recipes::new(&dir, &servers).await?);
    let small_disk = SmallDisk::mount(&recipes.data_dir(Program::Ingress1));
    let scene = Rc::new(Scene {
        dir,
        seed,
        troupe: RefCell::new(Troupe::new(recipes.clone(), diary.clone())),
        recipes,
        servers,
        diary,
        http: reqwest::Client::builder()
            .timeout(Duration::from_secs(2))
            .no_proxy()
            .build()?,
        has_small_disk: small_disk.is_some(),
        bad_weather: Cell::new(false),
        spooled: Cell::new(0),
    });
    let watch = tokio::task::spawn_local(scene.clone().watch());
    let performed = scene.perform(&args).await;
    watch.abort();
    let _ = watch.await;
    let Some(mut scene) = Rc::into_inner(scene) else {
        bail!("something still works on the stage")
    };
    scene.troupe.get_mut().leave().await;
    let (balanced, mut left_behind) = performed?;
    left_behind.extend(scene.left_in_queues().await);
    drop(small_disk);
    let summary = Summary::of(&scene, &args, balanced, left_behind)?;
    fs::write(
        scene.dir.join("summary.json"),
        serde_json::to_string_pretty(&summary)?,
    )?;
    println!("{}", table::text(&summary));
    Ok(summary)
}

impl Scene {
    /// Starts whatever died, for as long as it is let.
    async fn watch(self: Rc<Self>) {
        let mut tasks = tokio::task::JoinSet::new();
        loop {
            let seen = self.troupe.borrow_mut().glance(&self.servers);
            for server in seen.fallen {
                let scene = self.clone();
                tasks.spawn_local(async move { scene.bring_back(server).await });
            }
            if seen
                .started
                .iter()
                .any(|program| Program::SIMULATORS.contains(program))
            {
                let scene = self.clone();
                tasks.spawn_local(async move {
                    if let Err(error) = scene.set_weather().await {
                        scene.diary.tell(&format!("{error:#}"));
                    }
                });
            }
            while tasks.try_join_next().is_some() {}
            sleep(GLANCE).await;
        }
    }

    /// Whether the books balance, and which spools are not empty.
    async fn perform(self: &Rc<Self>, args: &RunArgs) -> anyhow::Result<(bool, Vec<String>)> {
        self.set_up().await?;
        let seconds = args.plan.seconds;
        self.diary.tell(&format!(
            "{} webhooks a second for {seconds} s; the faults begin",
            args.rate
        ));
        let traffic = tokio::task::spawn_local(self.clone().traffic(seconds, args.rate));
        let counting = tokio::task::spawn_local(self.clone().count_spooled());
        self.faults(seconds).await;
        traffic.await??;
        self.quiet().await?;
        counting.abort();
        let _ = counting.await;
        Ok((self.reckon().await?, self.left_in_spools().await))
    }

    pub(crate) fn fleet(&self) -> String {
        self.path("fleet.json")
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.dir.join(name).to_string_lossy().into_owned()
    }

    fn simulators(&self) -> [String; 4] {
        let [legacy, gateway] =
            Program::SIMULATORS.map(|simulator| self.recipes.address(simulator));
        [
            "--sim".to_owned(),
            legacy,
            "--gateway-sim".to_owned(),
            gateway,
        ]
    }

    /// A simulator forgets its faults when it dies.
    pub(crate) async fn set_weather(&self) -> anyhow::Result<()> {
        let (fleet, seed, sims) = (self.fleet(), self.seed.to_string(), self.simulators());
        let mut args = vec!["trouble", "--fleet", &fleet, "--seed", &seed];
        args.extend(sims.iter().map(String::as_str));
        if !self.bad_weather.get() {
            args.push("--clear");
        }
        self.persist("risiti-load", &args).await.map(drop)
    }

    async fn traffic(self: Rc<Self>, seconds: u64, rate: u32) -> anyhow::Result<()> {
        let ingresses = Program::INGRESSES
            .map(|ingress| self.recipes.address(ingress))
            .join(",");
        let (fleet, record) = (self.fleet(), self.path("record.jsonl"));
        let (rate, duration, seed) = (
            format!("{rate}/s"),
            format!("{seconds}s"),
            self.seed.to_string(),
        );
        let mut args = vec![
            "storm",
            "--fleet",
            &fleet,
            "--record",
            &record,
            "--ingress",
            &ingresses,
        ];
        args.extend([
            "--rate",
            &rate,
            "--duration",
            &duration,
            "--seed",
            &seed,
            "--concurrency",
            IN_FLIGHT,
        ]);
        let said = self.recipes.run("risiti-load", &args).await?;
        self.diary.tell(said.trim());
        Ok(())
    }

    async fn faults(self: &Rc<Self>, seconds: u64) {
        let began = Instant::now();
        let mut under_way = tokio::task::JoinSet::new();
        for fault in programme(self.seed, seconds) {
            sleep_until(began + Duration::from_millis(fault.at_ms)).await;
            let scene = self.clone();
            under_way.spawn_local(async move { scene.carry_out(fault).await });
        }
        while under_way.join_next().await.is_some() {}
    }

    /// All is well again, and everybody is there.
    async fn quiet(&self) -> anyhow::Result<()> {
        self.diary.tell("the faults are over");
        self.recipes.restore_links();
        self.troupe.borrow().thaw_all();
        self.all_ready(&Program::ALL).await?;
        self.bad_weather.set(false);
        self.set_weather().await
    }

    /// Waits for the work, replays, audits. True when the books balance.
    async fn reckon(&self) -> anyhow::Result<bool> {
        let (fleet, record) = (self.fleet(), self.path("record.jsonl"));
        let settle = [
            "settle", "--fleet", &fleet, "--record", &record, "--wait", "300s",
        ];
        match self.recipes.run("risiti-load", &settle).await {
            Ok(said) => self.diary.tell(said.trim()),
            // The audit says what is missing.
            Err(error) => self.diary.tell(&format!("{error:#}")),
        }
        // What nobody can read is no better for it, and stays.
        for cause in ["refused", "exhausted"] {
            let reason = "the faults are over";
            let replay = [
                "run", "--cause", cause, "--yes", "--json", "--reason", reason,
            ];
            let said = self.persist("risiti-replay", &replay).await?;
            self.diary
                .tell(&format!("replayed what was {cause}: {}", said.trim()));
        }
        self.audit(&fleet, &record).await
    }

    async fn audit(&self, fleet: &str, record: &str) -> anyhow::Result<bool> {
        let (sims, audit) = (self.simulators(), self.path("audit.json"));
        let replay = self.recipes.executable("risiti-replay");
        let mut args = vec![
            "audit", "--fleet", fleet, "--record", record, "--replay", &replay,
        ];
        args.extend(sims.iter().map(String::as_str));
        args.extend(["--wait", "180s", "--summary", &audit]);
        for tries_left in (0..TRIES).rev() {
            match self.recipes.run("risiti-load", &args).await {
                Ok(_) => return Ok(true),
                // It found something: the summary tells what.
                Err(_) if Path::new(&audit).exists() => return Ok(false),
                Err(error) if tries_left == 0 => return Err(error),
                Err(error) => self.wait_after(&error).await,
            }
        }
        unreachable!("the last try returns");
    }

    /// For what may be run twice: others may kill servers also when the faults are over.
    pub(crate) async fn persist(&self, executable: &str, args: &[&str]) -> anyhow::Result<String> {
        for _ in 1..TRIES {
            match self.recipes.run(executable, args).await {
                Ok(said) => return Ok(said),
                Err(error) => self.wait_after(&error).await,
            }
        }
        self.recipes.run(executable, args).await
    }

    pub(crate) async fn wait_after(&self, error: &anyhow::Error) {
        self.diary.tell(&format!("once more: {error:#}"));
        sleep(Duration::from_secs(3)).await;
    }

    pub(crate) async fn all_ready(&self, programs: &[Program]) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        for program in programs {
            let (address, path) = if Program::SIMULATORS.contains(program) {
                (self.recipes.port(*program), "/_sim/stats")
            } else {
                (self.recipes.ops(*program), "/readyz")
            };
            let ready = async || {
                matches!(
                    timeout(Duration::from_secs(3), http_status(address, path)).await,
                    Ok(Some(200))
                )
            };
            while !ready().await {
                ensure!(
                    Instant::now() < deadline,
                    "{} does not become ready",
                    program.name()
                );
                sleep(Duration::from_millis(100)).await;
            }
        }
        Ok(())
    }
}
