//! The commands `run` and `discard`. Each shows what it would take, asks, takes the lock, makes one
//! replay pass and reports what became of the dead letters.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use risiti_ledger::{
    DeadLetterFilter, DeadLetterScope, Ledger, OperatorAction, ReplayLock, RunCounts,
};
use risiti_queue::Broker;
use risiti_service::Context;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::cli::PassArgs;
use crate::confirm::{self, Answer, Summary};
use crate::dead_letter_handler::{DeadLetterHandler, PassKind};
use crate::in_hand::PassCounts;
use crate::item_run::ItemRun;
use crate::list::warn_of_unknown_merchant;
use crate::not_dead::{NamedIds, Wanted, tell_of_not_dead};
use crate::outcomes;
use crate::output::Output;
use crate::pace::Pace;
use crate::pass_report::{dry_run_report, report};
use crate::progress::{progress_bar, tell_progress};
use crate::replay_pass::ReplayPass;
use crate::session;
use crate::{EXIT_DEAD_AGAIN, EXIT_RUN_UNDER_WAY};

/// How long a person at a terminal sees what becomes of a replay.
const WAIT_ON_TERMINAL: Duration = Duration::from_secs(10);

/// Makes one replay pass, once the operator has agreed to it.
///
/// `wait` is how long to follow what a replay moved. Without it, a person at a terminal sees some
/// seconds of it.
pub(crate) async fn run_replay_pass(
    args: &PassArgs,
    wait: Option<Duration>,
    by: OperatorAction,
    kind: PassKind,
    out: Output,
    context: &Context,
) -> Result<ExitCode> {
    if !args.yes && !args.dry_run && !confirm::can_ask() {
        return Ok(confirm::refuse_without_terminal(out));
    }
    let ledger = session::open_ledger(&args.database).await?;
    let mut filter = args.filter.filter(&ledger).await?;
    // What somebody wants discarded is replayed only when it is named.
    if kind == PassKind::Replay && filter.ids.is_empty() && filter.scope == DeadLetterScope::Waiting
    {
        filter.scope = DeadLetterScope::Replayable;
        tell_of_wishes(&ledger, &filter, out).await?;
    }
    warn_of_unknown_merchant(&ledger, filter.merchant.as_deref(), out).await?;
    let summary = Summary::of(&ledger, &filter, args.limit).await?;
    let wanted = match kind {
        PassKind::Replay => Wanted::Replay,
        PassKind::Discard => Wanted::Discard,
    };
    let named = tell_of_not_dead(&ledger, &filter.ids, filter.scope, wanted, out).await?;

    if let Some(hint) = summary.hint()
        && args.yes
    {
        out.note(&hint);
    }
    if args.dry_run {
        out.line(&dry_run_report(kind, &summary), || summary.text(kind));
        return Ok(named.code());
    }
    if named == NamedIds::SomeNot && summary.matched == 0 {
        let nothing = PassCounts::default();
        out.line(&report(kind, &nothing, None), || {
            kind.report_text(&nothing, None)
        });
        return Ok(named.code());
    }
    if !args.yes {
        out.note(&summary.text(kind));
        let question = kind.question(summary.matched);
        if summary.matched > 0 && confirm::ask(question, &context.shutdown).await == Answer::No {
            out.note("Nothing was moved.");
            return Ok(ExitCode::SUCCESS);
        }
    }

    let Some(lock) = ledger.lock_replay().await? else {
        out.problem("another run is under way; one at a time");
        return Ok(ExitCode::from(EXIT_RUN_UNDER_WAY));
    };
    let broker = session::connect_broker(&args.amqp).await?;
    let wait = match (kind, wait) {
        (PassKind::Discard, _) => Duration::ZERO,
        (PassKind::Replay, Some(wait)) => wait,
        (PassKind::Replay, None) if confirm::can_ask() => WAIT_ON_TERMINAL,
        (PassKind::Replay, None) => Duration::ZERO,
    };
    let locked = LockedRun {
        args,
        wait,
        ledger: &ledger,
        broker: &broker,
        lock: &lock,
        filter: &filter,
        kind,
        named,
        out,
        context,
    };
    let ended = locked.run(by, summary.matched).await;
    broker.close().await;
    ended
}

/// Says how many dead letters the run leaves alone, because their discard waits for a look-up.
async fn tell_of_wishes(ledger: &Ledger, filter: &DeadLetterFilter, out: Output) -> Result<()> {
    let open = DeadLetterFilter {
        scope: DeadLetterScope::Waiting,
        ..filter.clone()
    };
    let count = async |filter| -> Result<i64> {
        let causes = ledger.count_dead_letters(filter).await?;
        Ok(causes.iter().map(|cause| cause.count).sum())
    };
    let wished = count(&open).await? - count(filter).await?;
    if wished > 0 {
        out.note(&format!(
            "{wished} left alone: their discard waits for a look-up. `run --id` takes the discard back."
        ));
    }
    Ok(())
}

/// A run that holds the replay lock.
struct LockedRun<'a> {
    args: &'a PassArgs,
    wait: Duration,
    ledger: &'a Ledger,
    broker: &'a Broker,
    lock: &'a ReplayLock,
    filter: &'a DeadLetterFilter,
    kind: PassKind,
    named: NamedIds,
    out: Output,
    context: &'a Context,
}

impl LockedRun<'_> {
    async fn run(&self, by: OperatorAction, expected: u64) -> Result<ExitCode> {
        let run = self
            .ledger
            .begin_run(
                self.kind.command(),
                &by,
                self.filter,
                Some(self.filter.moved_to(self.kind.moves_to())),
            )
            .await?;
        let stop = CancellationToken::new();
        let _watch = stop_on(&stop, &self.context.shutdown, self.lock);
        let bar = progress_bar(expected);
        let telling = tell_progress(&bar, self.out);
        let items = ItemRun {
            handler: DeadLetterHandler {
                ledger: self.ledger.clone(),
                publisher: self.broker.publisher(),
                publish_timeout: self.args.amqp.publish_timeout,
                by,
                kind: self.kind,
            },
            run: run.clone(),
            bar: bar.clone(),
            out: self.out,
        };
        let pace = Pace::new(self.args.rate);
        let pass = ReplayPass::new(items, self.broker, self.filter, self.args.limit, pace, stop);
        let (ended, counts, moved) = pass.run().await;
        bar.finish_and_clear();
        drop(telling);

        if let Err(error) = self.ledger.end_run(&run, counts.run).await {
            self.out.note(&format!(
                "warning: failed to record the end of this run: {error}"
            ));
        }
        let mut outcomes = None;
        if ended.is_ok() && !self.wait.is_zero() {
            let stop = &self.context.shutdown;
            let followed = outcomes::follow(self.ledger, moved, self.wait, self.out, stop).await?;
            outcomes = Some(followed);
        }
        let object = report(self.kind, &counts, outcomes.as_ref());
        self.out.line(&object, || {
            self.kind.report_text(&counts, outcomes.as_ref())
        });
        let dead_again = outcomes.is_some_and(|outcomes| outcomes.dead_again > 0);
        self.exit_code(ended, counts.run, dead_again)
    }

    fn exit_code(
        &self,
        ended: Result<()>,
        counts: RunCounts,
        dead_again: bool,
    ) -> Result<ExitCode> {
        if self.lock.lost().is_cancelled() {
            self.out
                .problem("the lock was lost, so the run stopped; run it again");
            return Ok(ExitCode::FAILURE);
        }
        ended?;
        if self.context.shutdown.is_cancelled() {
            self.out
                .note("Stopped by a signal; what was left is untouched.");
        }
        Ok(if counts.failed > 0 {
            ExitCode::FAILURE
        } else if dead_again {
            ExitCode::from(EXIT_DEAD_AGAIN)
        } else {
            self.named.code()
        })
    }
}

/// Cancels `stop` at the first signal, or when the lock is lost.
fn stop_on(
    stop: &CancellationToken,
    shutdown: &CancellationToken,
    lock: &ReplayLock,
) -> AbortOnDropHandle<()> {
    let stop = stop.clone();
    let shutdown = shutdown.clone();
    let lost = lock.lost().clone();
    AbortOnDropHandle::new(tokio::spawn(async move {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = lost.cancelled() => {}
        }
        stop.cancel();
    }))
}
