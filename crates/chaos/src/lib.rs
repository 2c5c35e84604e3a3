#![doc = include_str!("../README.md")]
#![expect(clippy::print_stdout, reason = "a program that prints its verdict")]

mod cli;
mod diary;
mod fault;
mod ground;
mod leftovers;
mod outages;
mod programme;
mod record;
mod recovery;
mod run;
mod servers;
mod set_up;
mod spooled;
mod stage;
mod summary;
mod supervise;
mod table;

use std::process::ExitCode;

pub use cli::Cli;

use cli::Command;

/// Exit code 0: nothing was lost, doubled or wrong; 1: something was, or the programme could not run; 130: stopped.
pub fn main_entry(cli: Cli) -> ExitCode {
    // An error here only says that somebody installed one before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let done = match cli.command {
        Command::Run(args) => run::run(args),
        Command::Plan(args) => {
            let seed = args.seed.unwrap_or_else(run::draw_seed);
            println!("seed {seed}");
            for fault in programme::programme(seed, args.seconds) {
                let at = std::time::Duration::from_millis(fault.at_ms).as_secs_f32();
                println!(
                    "{at:>7.1} s  {}, for {:.1} s",
                    fault.what,
                    fault.lasts().as_secs_f32()
                );
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Report { summary } => summary::Summary::read(&summary).map(|summary| {
            println!("{}", table::markdown(&summary));
            ExitCode::SUCCESS
        }),
    };
    done.unwrap_or_else(|error| {
        eprintln!("risiti-chaos: {error:#}");
        ExitCode::FAILURE
    })
}
