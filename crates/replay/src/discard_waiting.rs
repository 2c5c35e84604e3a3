//! The command `discard --waiting`: invoices that wait and were never sent are not filed. Those
//! that KRA may have are left, each with the command that takes it out.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use risiti_ledger::{
    DISCARD_BATCH_MAX, DiscardedBatch, Ledger, LedgerError, OperatorAction, ReplayRun, RunCounts,
    WaitingFilter,
};
use risiti_service::Context;
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::EXIT_RUN_UNDER_WAY;
use crate::cli::DiscardArgs;
use crate::confirm::{self, Answer};
use crate::list::warn_of_unknown_merchant;
use crate::not_dead;
use crate::output::Output;
use crate::session;
use crate::waiting_summary::WaitingSummary;

const TRIES_MAX: u32 = 5;
const RETRY_PAUSE: Duration = Duration::from_millis(300);

pub(crate) async fn run(
    args: &DiscardArgs,
    by: OperatorAction,
    out: Output,
    context: &Context,
) -> Result<ExitCode> {
    let pass = &args.pass;
    if !pass.yes && !pass.dry_run && !confirm::can_ask() {
        return Ok(confirm::refuse_without_terminal(out));
    }
    let ledger = session::open_ledger(&pass.database).await?;
    let filter = pass.filter.waiting_filter(&ledger).await?;
    warn_of_unknown_merchant(&ledger, filter.merchant.as_deref(), out).await?;
    let summary = WaitingSummary::of(&ledger, &filter, pass.limit).await?;
    let others = not_dead::tell_of_not_waiting(&ledger, &summary.missing(&filter), out).await?;

    if pass.dry_run {
        out.line(&summary.json(), || summary.text());
        return Ok(others.code());
    }
    if !pass.yes {
        out.note(&summary.text());
        let question = format!("Discard {} for good?", summary.matched);
        if summary.matched > 0 && confirm::ask(question, &context.shutdown).await == Answer::No {
            out.note("Nothing was moved.");
            return Ok(ExitCode::SUCCESS);
        }
    }

    // A replay must not bring back meanwhile what is discarded here.
    let Some(_lock) = ledger.lock_replay().await? else {
        out.problem("another run is under way; one at a time");
        return Ok(ExitCode::from(EXIT_RUN_UNDER_WAY));
    };
    let discard = Discard {
        ledger: &ledger,
        filter: &filter,
        by: &by,
        limit: pass.limit.unwrap_or(u64::MAX),
        out,
        context,
    };
    let discarded = discard.all().await?;
    let left = WaitingSummary::of(&ledger, &filter, None).await?;
    report(discarded, &left, out);
    Ok(if left.may_be_at_kra > 0 {
        ExitCode::FAILURE
    } else {
        others.code()
    })
}

fn report(discarded: u64, left: &WaitingSummary, out: Output) {
    let object = json!({
        "matched": discarded, "discarded": discarded, "skipped": 0, "failed": 0,
        "left": left.may_be_at_kra, "left_invoices": left.left,
    });
    out.line(&object, || {
        let mut lines = vec![format!("{discarded} matched: {discarded} discarded.")];
        lines.extend(left.left_text());
        lines.join("\n")
    });
}

struct Discard<'a> {
    ledger: &'a Ledger,
    filter: &'a WaitingFilter,
    by: &'a OperatorAction,
    limit: u64,
    out: Output,
    context: &'a Context,
}

/// The filter as `operator_actions` keeps it.
#[derive(Debug, Serialize)]
struct RecordedFilter<'a> {
    waiting: bool,
    #[serde(flatten)]
    filter: &'a WaitingFilter,
}

impl Discard<'_> {
    /// Discards one batch after the other, and writes down how many, also after an error.
    async fn all(&self) -> Result<u64> {
        let filter = RecordedFilter {
            waiting: true,
            filter: self.filter,
        };
        let run = self
            .ledger
            .begin_run(
                "discard",
                self.by,
                &filter,
                Some(json!({ "invoices": ["pending", "discarded"] })),
            )
            .await?;
        let mut discarded = 0;
        let ended = self.batches(&run, &mut discarded).await;
        let counts = RunCounts {
            matched: discarded,
            done: discarded,
            ..RunCounts::default()
        };
        if let Err(error) = self.ledger.end_run(&run, counts).await {
            self.out.note(&format!(
                "warning: failed to record the end of this run: {error}"
            ));
        }
        if self.context.shutdown.is_cancelled() {
            self.out
                .note("Stopped by a signal; what was left is untouched.");
        }
        if ended.is_err() {
            self.out
                .note(&format!("{discarded} were discarded before it failed."));
        }
        ended.map(|()| discarded)
    }

    async fn batches(&self, run: &ReplayRun, discarded: &mut u64) -> Result<()> {
        let mut after = None;
        while *discarded < self.limit && !self.context.shutdown.is_cancelled() {
            let batch = self.batch(run, after, self.limit - *discarded).await?;
            *discarded += batch.discarded;
            if batch.last.is_none() {
                break;
            }
            after = batch.last;
        }
        Ok(())
    }

    /// Tries again after a deadlock, a lock that a worker holds or a short failure of the database.
    async fn batch(
        &self,
        run: &ReplayRun,
        after: Option<(Timestamp, Uuid)>,
        left: u64,
    ) -> Result<DiscardedBatch, LedgerError> {
        let limit = u32::try_from(left).unwrap_or(DISCARD_BATCH_MAX);
        let mut tries = 0;
        loop {
            tries += 1;
            let batch = self
                .ledger
                .discard_waiting(self.filter, run, after, limit, self.by);
            match batch.await {
                Err(error) if error.is_transient() && tries < TRIES_MAX => {
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
                ended => return ended,
            }
        }
    }
}
