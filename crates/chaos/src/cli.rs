//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Kills, freezes and cuts everything under real traffic, then counts what was lost or doubled
#[derive(Parser)]
#[command(name = "risiti-chaos", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the fault programme; exit code 0 only if nothing was lost, doubled or wrong
    Run(RunArgs),
    /// Print the faults of a seed without running them
    Plan(PlanArgs),
    /// Print the summary of a run as Markdown
    Report {
        #[arg(value_name = "FILE")]
        summary: PathBuf,
    },
}

#[derive(Args, Clone)]
pub(crate) struct PlanArgs {
    /// How long faults and traffic last
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(10..=86_400))]
    pub(crate) seconds: u64,
    /// The same seed makes the same faults at the same times; random when absent
    #[arg(long)]
    pub(crate) seed: Option<u64>,
}

#[derive(Args, Clone)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) plan: PlanArgs,
    /// Webhooks a second
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rate: u32,
    /// Folder for servers, logs, the record and the summary; older contents are removed
    #[arg(long, default_value = "target/chaos", value_name = "DIR")]
    pub(crate) dir: PathBuf,
}
