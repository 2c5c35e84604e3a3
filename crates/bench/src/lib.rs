#![doc = include_str!("../README.md")]
#![expect(clippy::print_stdout, reason = "a program that prints a table")]

mod audit;
mod cli;
mod control;
mod cpu;
mod ground;
mod load;
mod machine;
mod measures;
mod programs;
mod results;
mod run;
mod site;
mod table;
mod yardsticks;

use std::process::ExitCode;

pub use cli::Cli;

use cli::Command;
use results::Results;

/// Exit code 0: every row was measured, and no id was lost or doubled. Exit code 1: a row could not
/// be measured, or an id was lost or doubled. Exit code 130: stopped by a signal.
///
/// A missed aim is a finding and no failure, because a busy machine can cause it.
pub fn main_entry(cli: Cli) -> ExitCode {
    let done = match cli.command {
        Command::Run(args) => run::run(args),
        Command::List => {
            measures::print_list();
            Ok(ExitCode::SUCCESS)
        }
        Command::Report { results } => Results::read(&results).map(|results| {
            print!("{}", table::markdown(&results));
            ExitCode::SUCCESS
        }),
        Command::Yardstick(yardstick) => yardsticks::run(yardstick).map(|()| ExitCode::SUCCESS),
    };

    done.unwrap_or_else(|error| {
        eprintln!("risiti-bench: {error:#}");
        ExitCode::FAILURE
    })
}
