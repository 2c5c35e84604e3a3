#![doc = include_str!("../README.md")]

mod cli;
mod confirm;
mod dead_letter_handler;
mod discard_waiting;
mod export;
mod filter_args;
mod flag_previews;
mod in_hand;
mod item_run;
mod lanes;
mod lanes_cli;
mod lanes_list;
mod lanes_switch;
mod list;
mod not_dead;
mod outcomes;
mod output;
mod pace;
mod pass_command;
mod pass_report;
mod payments;
mod payments_cli;
mod payments_decide;
mod progress;
mod replay_pass;
mod resolve;
mod session;
mod set_aside;
mod show;
mod value_parsers;
mod waiting;
mod waiting_summary;
mod wake_up;

use std::process::ExitCode;

use risiti_ledger::OperatorAction;
use risiti_service::{BadSetting, Context};

use cli::Command;
use dead_letter_handler::PassKind;
use pass_command::run_replay_pass;

pub use cli::Cli;

/// The command cannot be run as it was given.
const EXIT_USAGE: u8 = 2;
/// Another run holds the lock.
const EXIT_RUN_UNDER_WAY: u8 = 3;
/// Some of what a run replayed died again while it waited.
const EXIT_DEAD_AGAIN: u8 = 4;

/// Runs one command to its end.
///
/// # Errors
/// Only [`BadSetting`]s are returned. Any other reason for a failure is printed here.
pub async fn run(cli: Cli, context: Context) -> anyhow::Result<ExitCode> {
    let out = output::Output::new(cli.shared.json);
    let operator = cli.shared.operator();
    let outcome = match cli.command {
        Command::List(args) if args.waiting => waiting::list(&args.list, out).await,
        Command::List(args) => list::list(&args, out).await,
        Command::Show(args) => show::show(args, out).await,
        Command::Run(args) => {
            let by = OperatorAction {
                operator,
                reason: args.reason,
            };
            let kind = PassKind::Replay;
            run_replay_pass(&args.pass, args.wait, by, kind, out, &context).await
        }
        Command::Discard(args) => {
            let by = OperatorAction {
                operator,
                reason: args.reason.clone(),
            };
            if args.waiting {
                discard_waiting::run(&args, by, out, &context).await
            } else {
                let kind = PassKind::Discard;
                run_replay_pass(&args.pass, None, by, kind, out, &context).await
            }
        }
        Command::Export(args) => export::export(args, operator, out, &context).await,
        Command::Payments(command) => payments::run(command, operator, out, &context).await,
        Command::Lanes(command) => lanes::run(command, operator, out, &context).await,
    };
    match outcome {
        Ok(code) => Ok(code),
        Err(error) if error.chain().any(|cause| cause.is::<BadSetting>()) => Err(error),
        Err(error) => {
            out.problem(&format!("{error:#}"));
            Ok(ExitCode::FAILURE)
        }
    }
}
