use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    risiti_load::main_entry(risiti_load::Cli::parse())
}
