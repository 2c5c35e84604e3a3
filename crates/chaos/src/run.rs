//! One run in order: start, traffic with faults, recovery, audit, summary.

use std::cell::{Cell, RefCell};
use std::fs;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use anyhow::bail;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{JoinSet, LocalSet, spawn_local};
use tokio::time::{Instant, sleep_until};

use crate::audit::AuditVerdict;
use crate::cli::RunArgs;
use crate::environment::Environment;
use crate::fault_log::FaultLog;
use crate::launcher::Launcher;
use crate::processes::Processes;
use crate::programme::programme;
use crate::servers::Servers;
use crate::small_disk::SmallDisk;
use crate::summary::Summary;
use crate::table;
use crate::target::Program;

/// Bound on requests in flight. It is what ten seconds of the usual rate need, and ten seconds is
/// how long a gateway waits for an answer.
const IN_FLIGHT: &str = "600";

pub(crate) fn draw_seed() -> u64 {
    rand::random_range(0..1_000_000)
}

pub(crate) fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    // The programs die with the thread that started them, so there is one thread only.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let local = LocalSet::new();
    let seed = args.plan.seed.unwrap_or_else(draw_seed);
    let seconds = args.plan.seconds;
    eprintln!("seed {seed}: make chaos SECONDS={seconds} SEED={seed}");

    let outcome = local.block_on(&runtime, run_until_signal(args, seed));

    // Tasks of the local set hold processes and servers, which end here.
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

/// Returns none when a signal stopped the run.
async fn run_until_signal(args: RunArgs, seed: u64) -> anyhow::Result<Option<Summary>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let work = spawn_local(run_with_servers(args, seed));
    let abort = work.abort_handle();
    tokio::pin!(work);

    let signal_name = tokio::select! {
        done = &mut work => return done?.map(Some),
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
    };
    eprintln!("{signal_name}: stopping everything");
    abort.abort();
    let _ = work.await;
    Ok(None)
}

async fn run_with_servers(args: RunArgs, seed: u64) -> anyhow::Result<Summary> {
    let _ = fs::remove_dir_all(args.dir.join("log"));
    fs::create_dir_all(args.dir.join("log"))?;
    let dir = args.dir.canonicalize()?;
    let log = Rc::new(FaultLog::create(&dir.join("faults.jsonl"))?);

    log.print("starting PostgreSQL, RabbitMQ and Redis");
    let servers = Rc::new(Servers::start(&dir.join("servers"), &dir.join("log")).await?);
    let launcher = Rc::new(Launcher::new(&dir, &servers).await?);
    let small_disk = SmallDisk::mount(&launcher.data_dir(Program::Ingress1));
    let environment = Rc::new(Environment {
        dir,
        seed,
        processes: RefCell::new(Processes::new(launcher.clone(), log.clone())),
        launcher,
        servers,
        log,
        http: reqwest::Client::builder()
            .timeout(Duration::from_secs(2))
            .no_proxy()
            .build()?,
        has_small_disk: small_disk.is_some(),
        fault_script_active: Cell::new(false),
        spooled: Cell::new(0),
    });

    let supervision = spawn_local(environment.clone().supervise());
    let outcome = run_programme(&environment, &args).await;
    supervision.abort();
    let _ = supervision.await;
    let Some(mut environment) = Rc::into_inner(environment) else {
        bail!("a task still uses the environment")
    };

    environment.processes.get_mut().terminate().await;
    let (verdict, mut left_behind) = outcome?;
    left_behind.extend(environment.remaining_in_queues().await);
    drop(small_disk);

    let summary = Summary::of(&environment, &args, verdict, left_behind)?;
    fs::write(
        environment.dir.join("summary.json"),
        serde_json::to_string_pretty(&summary)?,
    )?;
    println!("{}", table::text(&summary));
    Ok(summary)
}

/// Returns the verdict of the audit, and which spools are not empty.
async fn run_programme(
    environment: &Rc<Environment>,
    args: &RunArgs,
) -> anyhow::Result<(AuditVerdict, Vec<String>)> {
    environment.prepare().await?;

    let seconds = args.plan.seconds;
    environment.log.print(&format!(
        "{} webhooks a second for {seconds} s; the faults begin",
        args.rate
    ));
    let traffic = spawn_local(send_traffic(environment.clone(), seconds, args.rate));
    let counting = spawn_local(environment.clone().count_spooled());
    let ended = async {
        run_faults(environment, seconds).await;
        traffic.await??;
        end_faults(environment).await
    };
    let ended = ended.await;
    // Stopped before the error is returned: the caller needs the environment to itself.
    counting.abort();
    let _ = counting.await;
    ended?;

    let verdict = environment.settle_and_audit().await?;
    Ok((verdict, environment.remaining_in_spools().await))
}

async fn send_traffic(environment: Rc<Environment>, seconds: u64, rate: u32) -> anyhow::Result<()> {
    let ingresses = Program::INGRESSES
        .map(|ingress| environment.launcher.url(ingress))
        .join(",");
    let fleet = environment.fleet();
    let record = environment.path("record.jsonl");
    let rate = format!("{rate}/s");
    let duration = format!("{seconds}s");
    let seed = environment.seed.to_string();

    let mut args = vec!["storm", "--fleet", &fleet, "--record", &record];
    args.extend(["--ingress", &ingresses, "--seed", &seed]);
    args.extend(["--rate", &rate, "--duration", &duration]);
    args.extend(["--concurrency", IN_FLIGHT]);
    let printed = environment.launcher.run("risiti-load", &args).await?;
    environment.log.print(printed.trim());
    Ok(())
}

/// Runs all faults of the programme, each at its time.
async fn run_faults(environment: &Rc<Environment>, seconds: u64) {
    let began = Instant::now();
    let mut under_way = JoinSet::new();
    for fault in programme(environment.seed, seconds) {
        sleep_until(began + Duration::from_millis(fault.at_ms)).await;
        let environment = environment.clone();
        under_way.spawn_local(async move { environment.run_fault(fault).await });
    }
    while under_way.join_next().await.is_some() {}
}

/// Restores every link and program, and clears the simulators' fault script.
async fn end_faults(environment: &Environment) -> anyhow::Result<()> {
    environment.log.print("the faults are over");
    environment.launcher.restore_links();
    environment.processes.borrow().thaw_all();
    environment.wait_until_ready(&Program::ALL).await?;
    environment.fault_script_active.set(false);
    environment.apply_fault_script().await
}
