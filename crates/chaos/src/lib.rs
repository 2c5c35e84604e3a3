#![doc = include_str!("../README.md")]
#![expect(clippy::print_stdout, reason = "the program prints its verdict")]

mod audit;
mod cli;
mod environment;
mod fault;
mod fault_log;
mod fault_rule;
mod inject;
mod launcher;
mod outages;
mod prepare;
mod process_state;
mod processes;
mod programme;
mod recovery;
mod remaining_work;
mod run;
mod servers;
mod small_disk;
mod spool_counter;
mod storm_record;
mod summary;
mod supervise;
mod table;
mod target;

use std::process::ExitCode;
use std::time::Duration;

pub use cli::Cli;

use cli::{Command, PlanArgs};

/// Runs one command. Exit code 0 means that nothing was lost, doubled or wrong. 1 means that
/// something was, or that the programme could not run. 130 means that a signal stopped it.
pub fn main_entry(cli: Cli) -> ExitCode {
    // This fails only where a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let outcome = match cli.command {
        Command::Run(args) => run::run(args),
        Command::Plan(args) => {
            print_plan(&args);
            Ok(ExitCode::SUCCESS)
        }
        Command::Report { summary } => summary::Summary::read(&summary).map(|summary| {
            println!("{}", table::markdown(&summary));
            ExitCode::SUCCESS
        }),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("risiti-chaos: {error:#}");
        ExitCode::FAILURE
    })
}

fn print_plan(args: &PlanArgs) {
    let seed = args.seed.unwrap_or_else(run::draw_seed);
    println!("seed {seed}");
    for fault in programme::programme(seed, args.seconds) {
        let at = Duration::from_millis(fault.at_ms).as_secs_f32();
        let lasts = fault.duration().as_secs_f32();
        println!("{at:>7.1} s  {}, for {lasts:.1} s", fault.kind);
    }
}
