use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    risiti_bench::main_entry(risiti_bench::Cli::parse())
}
