use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    risiti_chaos::main_entry(risiti_chaos::Cli::parse())
}
