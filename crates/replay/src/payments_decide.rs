//! The commands `payments settle` and `payments dismiss`. Each shows what it would take, asks, and
//! decides one payment after the other. An interrupt stops it between two of them.

use std::process::ExitCode;

use anyhow::Result;
use risiti_domain::PaymentId;
use risiti_ledger::{FlagDecision, FlagOutcome, FlaggedFilter, Ledger, OperatorAction};
use risiti_service::Context;
use serde_json::json;

use crate::EXIT_USAGE;
use crate::confirm::{self, Answer};
use crate::flag_previews::FlagPreviews;
use crate::list::warn_of_unknown_merchant;
use crate::output::Output;
use crate::payments::{FlaggedPages, NamedPayments, add_named};
use crate::payments_cli::{PaymentsDecideArgs, PaymentsSettleArgs};
use crate::session;

pub(crate) async fn settle(
    args: PaymentsSettleArgs,
    operator: String,
    out: Output,
    context: &Context,
) -> Result<ExitCode> {
    let named = args.decide.list.filter.ids.len() + args.decide.named.len();
    if args.refunded.is_some() && named != 1 {
        out.problem("--refunded is about one payment: name one");
        return Ok(ExitCode::from(EXIT_USAGE));
    }
    let decision = FlagDecision::Settle {
        refunded: args.refunded,
        by: action(&args.decide, operator),
    };
    run(&args.decide, &decision, "settled", out, context).await
}

pub(crate) async fn dismiss(
    args: PaymentsDecideArgs,
    operator: String,
    out: Output,
    context: &Context,
) -> Result<ExitCode> {
    let decision = FlagDecision::Dismiss {
        by: action(&args, operator),
    };
    run(&args, &decision, "dismissed", out, context).await
}

fn action(args: &PaymentsDecideArgs, operator: String) -> OperatorAction {
    OperatorAction {
        operator,
        reason: args.reason.clone(),
    }
}

/// Decides every payment that the filter takes, once the operator has agreed to it. `done` is the
/// word for what was decided.
async fn run(
    args: &PaymentsDecideArgs,
    decision: &FlagDecision,
    done: &str,
    out: Output,
    context: &Context,
) -> Result<ExitCode> {
    if !args.yes && !args.dry_run && !confirm::can_ask() {
        return Ok(confirm::refuse_without_terminal(out));
    }
    let ledger = session::open_ledger(&args.list.database).await?;
    let mut filter = args.list.filter.filter();
    warn_of_unknown_merchant(&ledger, filter.merchant.as_deref(), out).await?;
    if add_named(&ledger, &args.named, &mut filter, out).await? == NamedPayments::NotFound {
        return Ok(ExitCode::FAILURE);
    }

    if args.dry_run || !args.yes {
        let preview = FlagPreviews::of(&ledger, &filter, decision).await?;
        if args.dry_run {
            out.line(&preview.json(), || preview.text(done));
            return Ok(ExitCode::SUCCESS);
        }
        out.note(&preview.text(done));
        let question = format!("{} flagged payments would be {done}. Go on?", preview.would);
        if preview.would > 0 && confirm::ask(question, &context.shutdown).await == Answer::No {
            out.note("Nothing was changed.");
            return Ok(ExitCode::SUCCESS);
        }
    }

    let counts = decide_all(&ledger, &filter, decision, done, out, context).await?;
    let object = json!({
        "matched": counts.matched, done: counts.done, "skipped": counts.skipped, "failed": counts.failed,
    });
    out.line(&object, || {
        format!(
            "{} matched: {} {done}, {} skipped (decided before), {} failed.",
            counts.matched, counts.done, counts.skipped, counts.failed
        )
    });
    Ok(if counts.failed > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

#[derive(Default)]
struct Counts {
    matched: u64,
    done: u64,
    skipped: u64,
    failed: u64,
}

async fn decide_all(
    ledger: &Ledger,
    filter: &FlaggedFilter,
    decision: &FlagDecision,
    done: &str,
    out: Output,
    context: &Context,
) -> Result<Counts> {
    let mut counts = Counts::default();
    let mut pages = FlaggedPages::new(ledger, filter);
    while let Some(page) = pages.next().await? {
        for payment in page {
            if context.shutdown.is_cancelled() {
                out.note("Stopped by a signal; what was left is untouched.");
                return Ok(counts);
            }
            counts.matched += 1;
            let id = payment.payment_id;
            match ledger.end_flag(id, decision).await? {
                FlagOutcome::Ended { from, to } => {
                    counts.done += 1;
                    out.note(&outcome(id, &format!("{done}, {from} → {to}")));
                }
                FlagOutcome::Overtaken => counts.skipped += 1,
                FlagOutcome::Refused(why) => {
                    counts.failed += 1;
                    out.note(&outcome(id, &format!("not {done}: {why}")));
                }
            }
        }
    }
    Ok(counts)
}

fn outcome(id: PaymentId, words: &str) -> String {
    format!("{id}  {words}")
}
