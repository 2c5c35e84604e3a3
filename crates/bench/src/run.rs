//! One run: every measurement on fresh ground, then the table.

use std::fs;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, anyhow};
use futures_util::FutureExt as _;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::RunArgs;
use crate::cpu::OthersMeter;
use crate::ground::{Ground, empty_folder};
use crate::machine::{Machine, load_average};
use crate::measures::{self, Measurement};
use crate::results::{Failure, Results, Row};
use crate::table;

/// Exit code after SIGINT or SIGTERM.
const STOPPED: u8 = 130;

pub(crate) fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    let measurements = measures::chosen(&args.only, args.peers)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(async {
        let mut interrupted = signal(SignalKind::interrupt())?;
        let mut terminated = signal(SignalKind::terminate())?;
        // Whatever was started ends with the future that is dropped here.
        tokio::select! {
            outcome = measure_all(&args, &measurements) => outcome,
            _ = interrupted.recv() => Ok(ExitCode::from(STOPPED)),
            _ = terminated.recv() => Ok(ExitCode::from(STOPPED)),
        }
    });
    // A load may still wait for answers of a program that is gone.
    runtime.shutdown_background();
    outcome
}

async fn measure_all(
    args: &RunArgs,
    measurements: &[&'static Measurement],
) -> anyhow::Result<ExitCode> {
    let load_before = load_average();
    let dir = empty_folder(&args.dir)?;
    let ground = Ground::prepare(&dir, args.full).await?;
    let mut results = Results {
        machine: Machine::look(&ground, load_before).await?,
        full: args.full,
        rows: Vec::new(),
        failed: Vec::new(),
    };

    for measurement in measurements {
        let started = Instant::now();
        let others = OthersMeter::start(ground.processes()?);
        eprintln!("bench: {} …", measurement.name);
        ground.begin(measurement.name);
        match measure(measurement, &ground).await {
            Ok(mut rows) => {
                for row in &mut rows {
                    row.others_cpu = others.share();
                    eprintln!("bench: {}", table::line(row));
                }
                results.rows.extend(rows);
                // Logs of what went well only fill the disk.
                let _ = fs::remove_dir_all(ground.logs());
            }
            Err(error) => {
                eprintln!("bench: {} failed: {error:#}", measurement.name);
                results.failed.push(Failure {
                    measurement: measurement.name.to_owned(),
                    why: format!("{error:#}"),
                });
            }
        }
        eprintln!(
            "bench: {} took {:.0} s",
            measurement.name,
            started.elapsed().as_secs_f32()
        );
        // What was measured so far is not lost with the rest.
        results.write(&dir.join("results.json"))?;
    }

    print!("{}", table::text(&results));
    println!("{}", dir.join("results.json").display());
    Ok(match results.are_complete() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// A measurement that panics, as waits of the test kit do, fails alone.
async fn measure(measurement: &Measurement, ground: &Ground) -> anyhow::Result<Vec<Row>> {
    let measuring = AssertUnwindSafe(measurement.make(ground)).catch_unwind();
    let outcome = measuring.await.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
        anyhow!(text.unwrap_or_else(|| "a panic without words".to_owned()))
    });
    outcome?.with_context(|| format!("logs are in {}", ground.logs().display()))
}
