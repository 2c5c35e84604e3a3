//! The command line of `payments`.

use clap::{Args, Subcommand};
use jiff::Timestamp;
use risiti_ledger::FlaggedFilter;
use risiti_service::{DatabaseArgs, parse_since};
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::cli::{DRY_RUN_FLAG, YES_FLAG};
use crate::value_parsers;

#[derive(Debug, Subcommand)]
pub(crate) enum PaymentsCommand {
    /// List flagged payments, those recorded first on top
    ///
    /// A payment is flagged when what was reported contradicts itself, or when only a person can
    /// know what is true. WHY tells what it is about, SETTLE what `settle` would do, and - where it
    /// would refuse. Reads only.
    #[command(after_help = "Examples:
  risiti-replay payments list --merchant acme --since 24h
  risiti-replay payments list --json | jq -r 'select(.settling == \"nothing\") | .payment_id'")]
    List(PaymentsListArgs),

    /// Show all that is known of payments: messages, refunds, invoices, moves
    ///
    /// Also of a payment that is not flagged, when it is named. Where messages contradict each
    /// other, the facts that differ are told. Phones and bodies are left out.
    #[command(after_help = "Example:
  risiti-replay payments show UIS4000001")]
    Show(PaymentsShowArgs),

    /// Say that what the messages of flagged payments tell is so
    ///
    /// A pending or failed payment that a message calls paid becomes success, and its tax invoice
    /// is filed where one is owed. Of a paid one, refunds that were left to you get their credit
    /// notes, if all of them fit into what is left of the sale. Where a message does not say how
    /// much went back, ask the provider and give the sum of all such refunds as --refunded.
    ///
    /// What cannot be settled is left as it is, with the reason. Shows what it would take and asks
    /// first; without a terminal it needs --yes.
    #[command(after_help = "Examples:
  risiti-replay payments settle 880000001 --reason 'charged, seen at Gumroad'
  risiti-replay payments settle --id 01890a5d-ac96-774b-bcce-b302099a8057 --refunded 15.00 --reason 'asked Gumroad'
  risiti-replay payments settle --merchant acme --since 24h --reason 'all charged' --dry-run")]
    Settle(PaymentsSettleArgs),

    /// Say that what the messages of flagged payments tell is not so, or is in the books already
    ///
    /// The flag goes and the reason stays. A pending payment becomes failed; a later success would
    /// still count. A paid one stays paid. Refunds that were left to you get no credit note. What
    /// was filed wrongly is not undone: correct it at KRA first.
    #[command(after_help = "Examples:
  risiti-replay payments dismiss --id 01890a5d-ac96-774b-bcce-b302099a8057 --reason 'free trial, seen at Gumroad'
  risiti-replay payments dismiss --merchant acme --since 1h --reason 'test traffic' --yes --json")]
    Dismiss(PaymentsDecideArgs),
}

#[derive(Args, Clone, Debug)]
pub(crate) struct FlaggedFilterArgs {
    /// Only this merchant's
    #[arg(long, value_name = "SLUG")]
    pub(crate) merchant: Option<String>,

    /// Only what was flagged since: an age (250ms, 2s, 15m, 24h) or a moment (RFC 3339)
    #[arg(long, value_parser = parse_since, value_name = "WHEN")]
    since: Option<Timestamp>,

    /// Only this payment; may be given several times
    #[arg(long = "id", value_name = "ID")]
    pub(crate) ids: Vec<Uuid>,
}

impl FlaggedFilterArgs {
    pub(crate) fn filter(&self) -> FlaggedFilter {
        FlaggedFilter {
            merchant: self.merchant.clone(),
            since: self.since,
            ids: self.ids.clone(),
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct PaymentsListArgs {
    #[command(flatten)]
    pub(crate) filter: FlaggedFilterArgs,

    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

#[derive(Args, Debug)]
pub(crate) struct PaymentsShowArgs {
    /// What `risiti-admin find` takes, such as a receipt, if it leads to one payment
    #[arg(value_name = "TEXT", value_parser = value_parsers::short_text)]
    pub(crate) named: Vec<String>,

    #[command(flatten)]
    pub(crate) list: PaymentsListArgs,
}

#[derive(Args, Debug)]
pub(crate) struct PaymentsSettleArgs {
    #[command(flatten)]
    pub(crate) decide: PaymentsDecideArgs,

    /// How much went back in all, in the currency of the sale, where messages do not say; for one
    /// payment that is named
    #[arg(long, value_name = "AMOUNT", value_parser = value_parsers::amount)]
    pub(crate) refunded: Option<Decimal>,
}

#[derive(Args, Debug)]
pub(crate) struct PaymentsDecideArgs {
    /// What `risiti-admin find` takes, such as a receipt, if it leads to one payment
    #[arg(value_name = "TEXT", value_parser = value_parsers::short_text)]
    pub(crate) named: Vec<String>,

    #[command(flatten)]
    pub(crate) list: PaymentsListArgs,

    /// Why; kept with every payment it changes
    #[arg(long, value_parser = value_parsers::short_text, value_name = "TEXT")]
    pub(crate) reason: String,

    /// Show what would become of each, by the same checks, and change nothing
    #[arg(long = DRY_RUN_FLAG)]
    pub(crate) dry_run: bool,

    /// Ask nothing
    #[arg(long = YES_FLAG)]
    pub(crate) yes: bool,
}
