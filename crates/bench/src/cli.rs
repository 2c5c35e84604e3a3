//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::yardsticks::Yardstick;

/// Measures Risiti beside yardsticks that run on the same machine in the same minutes
#[derive(Parser)]
#[command(name = "risiti-bench", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Measure, print the table and write results.json
    Run(RunArgs),
    /// Print the measurements and what each compares
    List,
    /// Print the results of a run as Markdown
    Report {
        #[arg(value_name = "FILE")]
        results: PathBuf,
    },
    /// Run one yardstick; a measurement starts it as a process of its own
    #[command(subcommand, hide = true)]
    Yardstick(Yardstick),
}

#[derive(Args, Clone)]
pub(crate) struct RunArgs {
    /// Measurements to make [default: all]; `list` names them
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub(crate) only: Vec<String>,
    /// Full sizes of the long measurements; takes hours
    #[arg(long)]
    pub(crate) full: bool,
    /// Also the comparisons that install packages with npm and pip
    #[arg(long)]
    pub(crate) peers: bool,
    /// Where results.json and the logs go; what was there is removed
    #[arg(long, default_value = "target/bench", value_name = "DIR")]
    pub(crate) dir: PathBuf,
}
