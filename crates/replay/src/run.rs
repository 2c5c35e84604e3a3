//! `run` and `discard`: look, ask, take the lock, go over the pile once, tell what became of it.

use std::process::ExitCode;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use risiti_ledger::{DeadLetterFilter, Ledger, OperatorAction, ReplayLock, RunCounts};
use risiti_queue::Broker;
use risiti_service::Context;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::EXIT_HELD;
use crate::act::{Actor, Deed};
use crate::cli::PassArgs;
use crate::confirm::{self, Summary};
use crate::list::warn_of_unknown_merchant;
use crate::output::Output;
use crate::pace::Pace;
use crate::pass::Pass;
use crate::session;

pub(crate) async fn go_over_the_pile(
    args: &PassArgs,
    by: OperatorAction,
    deed: Deed,
    out: Output,
    context: &Context,
) -> Result<ExitCode> {
    let may_ask = confirm::somebody_is_there();
    if !args.yes && !args.dry_run && !may_ask {
        return Ok(confirm::nobody_to_ask(out));
    }
    let ledger = session::ledger(&args.database).await?;
    let filter = args.filter.filter();
    warn_of_unknown_merchant(&ledger, &filter, out).await?;
    let summary = Summary::of(&ledger, &filter, args.limit).await?;
    if args.dry_run {
        let tally = RunCounts {
            matched: summary.matched,
            ..RunCounts::default()
        };
        out.line(&with(report(deed, tally), summary.json()), || {
            summary.text()
        });
        return Ok(ExitCode::SUCCESS);
    }
    if !args.yes {
        out.note(&summary.text());
        if summary.matched > 0
            && !confirm::ask(deed.question(summary.matched), &context.shutdown).await
        {
            out.note("Nothing was moved.");
            return Ok(ExitCode::SUCCESS);
        }
    }
    let Some(lock) = ledger.lock_replay().await? else {
        out.problem("another run is under way; one at a time");
        return Ok(ExitCode::from(EXIT_HELD));
    };
    let broker = session::broker(&args.amqp).await?;
    let parts = Parts {
        ledger: &ledger,
        broker: &broker,
        lock: &lock,
        filter: &filter,
    };
    let done = locked(args, parts, by, deed, summary.matched, out, context).await;
    broker.close().await;
    done
}

struct Parts<'a> {
    ledger: &'a Ledger,
    broker: &'a Broker,
    lock: &'a ReplayLock,
    filter: &'a DeadLetterFilter,
}

async fn locked(
    args: &PassArgs,
    parts: Parts<'_>,
    by: OperatorAction,
    deed: Deed,
    expected: u64,
    out: Output,
    context: &Context,
) -> Result<ExitCode> {
    let Parts {
        ledger,
        broker,
        lock,
        filter,
    } = parts;
    let run = ledger.begin_run(deed.command(), &by, filter).await?;
    let stop = CancellationToken::new();
    let _watch = stop_on(&stop, &context.shutdown, lock);
    let publisher = broker.publisher();
    let publish_timeout = args.amqp.publish_timeout;
    let bar = bar(expected);
    let mut pass = Pass {
        ledger,
        broker,
        publisher: publisher.clone(),
        publish_timeout,
        actor: Actor {
            ledger: ledger.clone(),
            publisher,
            publish_timeout,
            by,
            deed,
        },
        filter,
        run: &run,
        limit: args.limit,
        pace: Pace::new(args.rate),
        stop,
        bar: bar.clone(),
        out,
        tally: RunCounts::default(),
        wished: 0,
    };
    let went = pass.go().await;
    let (tally, wished) = (pass.tally, pass.wished);
    bar.finish_and_clear();
    if let Err(error) = ledger.end_run(&run, tally).await {
        out.note(&format!(
            "warning: the end of this run could not be written down: {error}"
        ));
    }
    out.line(&with(report(deed, tally), deed.more(wished)), || {
        deed.told(tally, wished)
    });
    if lock.lost().is_cancelled() {
        out.problem("the lock was lost, so the run stopped; run it again");
        return Ok(ExitCode::FAILURE);
    }
    went?;
    if context.shutdown.is_cancelled() {
        out.note("Stopped by a signal; what was left is untouched.");
    }
    Ok(if tally.failed > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Cancels `stop` with the first signal, or when the lock is lost.
fn stop_on(
    stop: &CancellationToken,
    shutdown: &CancellationToken,
    lock: &ReplayLock,
) -> tokio_util::task::AbortOnDropHandle<()> {
    let (stop, shutdown, lost) = (stop.clone(), shutdown.clone(), lock.lost().clone());
    tokio_util::task::AbortOnDropHandle::new(tokio::spawn(async move {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = lost.cancelled() => {}
        }
        stop.cancel();
    }))
}

/// Hidden where standard error is no terminal.
fn bar(expected: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len}  {per_sec}, {eta} left");
    ProgressBar::new(expected).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// `{"matched","replayed","skipped","failed"}`, the second key by the deed.
fn report(deed: Deed, tally: RunCounts) -> Value {
    json!({ "matched": tally.matched, deed.done_key(): tally.done, "skipped": tally.skipped, "failed": tally.failed })
}

fn with(mut report: Value, more: Value) -> Value {
    if let (Some(report), Value::Object(more)) = (report.as_object_mut(), more) {
        report.extend(more);
    }
    report
}

impl Deed {
    fn command(self) -> &'static str {
        match self {
            Self::Replay => "run",
            Self::Discard => "discard",
        }
    }

    fn done_key(self) -> &'static str {
        match self {
            Self::Replay => "replayed",
            Self::Discard => "discarded",
        }
    }

    fn question(self, count: u64) -> String {
        match self {
            Self::Replay => format!("Replay {count}?"),
            Self::Discard => format!("Discard {count} for good?"),
        }
    }

    /// Beside the four counts.
    fn more(self, wished: u64) -> Value {
        match self {
            Self::Replay => json!({}),
            Self::Discard => json!({ "looked_up_first": wished }),
        }
    }

    fn told(self, tally: RunCounts, wished: u64) -> String {
        let RunCounts {
            matched,
            done,
            skipped,
            failed,
        } = tally;
        let looked_up = match wished {
            0 => String::new(),
            _ => format!(" {wished} looked up by their lanes first,"),
        };
        let key = self.done_key();
        format!(
            "{matched} matched: {done} {key},{looked_up} {skipped} skipped (moved before), {failed} failed."
        )
    }
}
