//! The command line and its help texts.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use risiti_service::{AmqpArgs, DatabaseArgs, operator_name, parse_duration};

use crate::filter_args::FilterArgs;
use crate::lanes_cli::LanesCommand;
use crate::payments_cli::PaymentsCommand;
use crate::value_parsers::{self, Rate};

pub(crate) const DRY_RUN_FLAG: &str = "dry-run";
pub(crate) const YES_FLAG: &str = "yes";

/// Looks at dead letters and brings them back; decides flagged payments; stops, starts and
/// straightens out lanes.
///
/// A dead letter is a tax invoice that KRA refused (`refused`) or that failed again and again while
/// others went through (`exhausted`) or that a person took out of its lane (`set_aside`), or a webhook
/// nobody could read (`unreadable`) or record (`poison`). Replaying never makes a second tax invoice, however often it is done, and nothing
/// here ever calls KRA.
///
/// At three in the morning: `risiti-admin status` says what needs you. Then `lanes list --halted`
/// shows what stands still and what to do first, `list` what died and why, `run --dry-run` what a
/// run would take, and `run` does it. `show` tells the story of a receipt that a customer names.
///
/// Exit code 0: done, also when nothing matched; 1: something failed, with the reason; 2: the
/// command line or a setting is wrong, or a question could not be asked; 3: another run is under
/// way; 4: a run with --wait saw some of its invoices die again.
#[derive(Debug, Parser)]
#[command(name = "risiti-replay", version, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub(crate) shared: SharedArgs,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Args, Debug)]
pub(crate) struct SharedArgs {
    /// Print one JSON object, or for lists one a line
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Who to write down as having done this [default: who is logged in, as the operating system
    /// knows]
    #[arg(long, global = true, env = "RISITI_OPERATOR", value_parser = value_parsers::short_text, value_name = "NAME")]
    operator: Option<String>,
}

impl SharedArgs {
    pub(crate) fn operator(&self) -> String {
        self.operator.clone().unwrap_or_else(operator_name)
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List dead letters, oldest first
    ///
    /// With --group those of one merchant, cause and reason are one line, with their number and one
    /// of them to look at. Reads the database and consumes nothing.
    #[command(after_help = "Examples:
  risiti-replay list --merchant acme --since 24h
  risiti-replay list --group
  risiti-replay list --message 'item code' --device 01890a5d-ac96-774b-bcce-b302099a8057
  risiti-replay list --cause refused --code 891 --json | jq -r .dead_letter_id
  risiti-replay list --waiting --merchant acme")]
    List(ListCommand),

    /// Show all that is known of dead letters: every send, every answer, every move
    ///
    /// TEXT is the id of a dead letter, or what `risiti-admin find` takes: an M-Pesa receipt, a
    /// checkout id, a reference, an order number, an invoice number, or the id of a payment, an
    /// invoice or an event. Of what is not dead it shows the story and the state it is in.
    ///
    /// Reads the database and consumes nothing. Phones and bodies are left to `export`.
    #[command(after_help = "Examples:
  risiti-replay show 01890a5d-ac96-774b-bcce-b302099a8057
  risiti-replay show UIS4000001
  risiti-replay show --merchant acme --cause exhausted --limit 3")]
    Show(ShowArgs),

    /// Replay dead letters
    ///
    /// Goes once over the queue of dead letters, as long as it was at the start. An invoice goes
    /// back to its lane, behind what waits there, and is filed again; a webhook that could not be
    /// read is read anew, and stays where it is if it still cannot be. What the filter does not
    /// take stays in the queue. Shows what it would take and asks first; without a terminal it
    /// needs --yes.
    ///
    /// What somebody has discarded while its lane still asks KRA is left alone. Naming it with --id
    /// takes that discard back.
    ///
    /// With --id the queue is left as it is. The messages of what was replayed stay in it until
    /// the next run without --id, which drops them and counts them as skipped.
    ///
    /// Nothing can go wrong by running it twice, stopping it half-way or killing it: run it again.
    #[command(after_help = "Examples:
  risiti-replay run --dry-run
  risiti-replay run --merchant acme --code 891 --reason 'item code registered' --rate 5/s --wait 2m
  risiti-replay run --id 01890a5d-ac96-774b-bcce-b302099a8057 --yes --json")]
    Run(RunArgs),

    /// Give dead letters up for good
    ///
    /// A discarded invoice is never filed; a sale takes its credit notes along. Where KRA never
    /// answered some send of an invoice, it may have been accepted: then its lane looks it up
    /// first, and it is discarded only if KRA does not have it. `run --discarded --id ID` takes a
    /// discard back.
    ///
    /// With --waiting it takes invoices that are no dead letters and wait to be filed, if none of
    /// their sends may have reached KRA. Those that KRA may have are left and named with the
    /// command that sets them aside, and the exit code is 1.
    #[command(after_help = "Examples:
  risiti-replay discard --id 01890a5d-ac96-774b-bcce-b302099a8057 --reason 'test payment'
  risiti-replay discard --cause unreadable --merchant acme --reason 'scanner noise' --dry-run
  risiti-replay discard --waiting --merchant acme --since 2h --reason 'test traffic' --dry-run")]
    Discard(DiscardArgs),

    /// Write dead letters out as evidence, one JSON object a line
    ///
    /// With everything: rows, sends with their bodies, answers, moves, and the bytes of unreadable
    /// webhooks in base64. It names payers, so the file is readable by its owner only; secrets are
    /// not in it. Consumes nothing.
    #[command(after_help = "Examples:
  risiti-replay export --merchant acme --since 2026-01-01T00:00:00+03:00 --out acme.jsonl
  risiti-replay export --cause unreadable | jq -r '.body_base64 | @base64d'")]
    Export(ExportArgs),

    /// Look at flagged payments, and say what is true of them
    ///
    /// A flagged payment waits for a person: what was reported contradicts itself, its short code
    /// is not registered, or a message may tell of no money.
    #[command(subcommand)]
    Payments(PaymentsCommand),

    /// Look at lanes (one per tax device), stop them, start them, settle a number
    #[command(subcommand)]
    Lanes(LanesCommand),
}

#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) filter: FilterArgs,

    /// At most this many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) limit: Option<u64>,

    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ListCommand {
    #[command(flatten)]
    pub(crate) list: ListArgs,

    /// Invoices that wait to be filed, as `discard --waiting` takes them, instead of dead letters.
    /// --since then counts from when an invoice was owed
    #[arg(long, conflicts_with_all = ["cause", "code", "message", "discarded", "group", "newest"])]
    pub(crate) waiting: bool,

    /// One line for all that have the same merchant, cause, code and words, those with the newest
    /// first
    #[arg(long)]
    pub(crate) group: bool,

    /// The newest first
    #[arg(long, conflicts_with = "group")]
    pub(crate) newest: bool,
}

#[derive(Args, Debug)]
pub(crate) struct ShowArgs {
    /// Ids of dead letters, or what names a payment
    #[arg(value_name = "TEXT", value_parser = value_parsers::short_text)]
    pub(crate) named: Vec<String>,

    #[command(flatten)]
    pub(crate) list: ListArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    pub(crate) list: ListArgs,

    /// A new file to write to, mode 0600 [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,

    /// Why; kept with the record that this was exported
    #[arg(long, value_parser = value_parsers::short_text, default_value = "exported by hand", value_name = "TEXT")]
    pub(crate) reason: String,
}

#[derive(Args, Debug)]
pub(crate) struct DiscardArgs {
    /// Invoices that wait to be filed and were never sent, instead of dead letters. --since then
    /// counts from when an invoice was owed
    #[arg(long, conflicts_with_all = ["cause", "code", "message", "discarded", "rate"])]
    pub(crate) waiting: bool,

    #[command(flatten)]
    pub(crate) pass: PassArgs,

    /// Why; kept with everything it discards
    #[arg(long, value_parser = value_parsers::short_text, value_name = "TEXT")]
    pub(crate) reason: String,
}

#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) pass: PassArgs,

    /// How long to follow what it moves and to print what becomes of each (250ms, 2s, 15m). The
    /// exit code is 4 if some died again [default: 10s on a terminal, else 0s]
    #[arg(long, value_parser = parse_duration, value_name = "DURATION")]
    pub(crate) wait: Option<Duration>,

    /// Why; kept with every invoice it moves
    #[arg(long, value_parser = value_parsers::short_text, default_value = "replayed by hand", value_name = "TEXT")]
    pub(crate) reason: String,
}

/// The arguments of a command that makes a replay pass.
#[derive(Args, Debug)]
pub(crate) struct PassArgs {
    #[command(flatten)]
    pub(crate) filter: FilterArgs,

    /// At most this many; the rest stays
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) limit: Option<u64>,

    /// Show count, causes, words and a sample, and what is likely to be refused again; move nothing
    #[arg(long = DRY_RUN_FLAG)]
    pub(crate) dry_run: bool,

    /// At most this many in a second, minute or hour: 50/s, 30/m, 500/h
    #[arg(long, value_parser = value_parsers::rate, value_name = "RATE")]
    pub(crate) rate: Option<Rate>,

    /// Ask nothing
    #[arg(long = YES_FLAG)]
    pub(crate) yes: bool,

    #[command(flatten)]
    pub(crate) database: DatabaseArgs,

    #[command(flatten)]
    pub(crate) amqp: AmqpArgs,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
