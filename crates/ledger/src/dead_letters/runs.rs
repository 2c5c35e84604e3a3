//! Runs over dead letters: what a run takes, and the row in `operator_actions` that records it.
//!
//! A run is one call of a command that goes over dead letters: a replay, a discard or an export.

use jiff::Timestamp;
use risiti_domain::InvoiceId;
use serde::Serialize;
use serde_json::Value;
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::statements;
use crate::dead_letters::list::{DeadLetterFilter, DeadLetterScope, in_scope, matches_filter};
use crate::operator_actions::OperatorAction;

statements! {
    OPEN = "
        INSERT INTO operator_actions (id, operator, command, reason, filter, changes)
        VALUES ($1, $2, $3, $4, $5, $6) RETURNING at";
    CLOSE = "
        UPDATE operator_actions SET matched = $2, done = $3, skipped = $4, failed = $5, ended_at = now()
        WHERE id = $1";
    /// Everything that decides about one dead letter in a run.
    ///
    /// `old_enough` leaves a dead letter that was made after the run began to the next run.
    /// Otherwise a quick refusal would be replayed again and again in one run.
    ITEM = concat!("
        SELECT d.id, d.invoice_id, d.deliveries, (", in_scope!(), ") AS in_scope,
               d.solved_at IS NULL AS open, coalesce(", matches_filter!(), ", false) AS matches_filter, d.dead_at < $9 AS old_enough,
               d.tried_in IS NOT DISTINCT FROM $10 AS tried
        FROM dead_letters d LEFT JOIN merchants m ON m.id = d.merchant_id
        WHERE d.id = $11");
    /// The oldest dead letter of a run after `$11`, `$12` that was not tried in it yet.
    NEXT = concat!("
        SELECT d.id, d.invoice_id, d.deliveries, d.dead_at
        FROM dead_letters d LEFT JOIN merchants m ON m.id = d.merchant_id
        WHERE ", matches_filter!(), " AND ", in_scope!(), " AND d.dead_at < $9
          AND d.tried_in IS DISTINCT FROM $10 AND (d.dead_at, d.id) > ($11, $12)
        ORDER BY d.dead_at, d.id LIMIT 1");
    TRIED = "UPDATE dead_letters SET tried_in = $2 WHERE id = $1";
}

/// A run that has begun. Its id is the one of its row in `operator_actions`.
#[derive(Clone, Debug)]
pub struct ReplayRun {
    pub id: Uuid,
    /// When it began, by the database's clock.
    pub began: Timestamp,
}

/// How many dead letters a run took, and what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunCounts {
    pub matched: u64,
    pub done: u64,
    pub skipped: u64,
    pub failed: u64,
}

/// What a run knows of a dead letter.
#[derive(Clone, Debug)]
pub struct RunItem {
    pub id: Uuid,
    /// The invoice. `None` for an unreadable or poison message.
    pub invoice: Option<InvoiceId>,
    /// The number of deliveries when the row was read. By it a replay notices that the same bytes
    /// came again.
    pub deliveries: i64,
    pub status: RunStatus,
}

/// What a run does with a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunStatus {
    /// The run acts on it.
    Selected,
    /// It was solved before. `matches_filter` says whether the run would have taken it otherwise.
    AlreadySolved { matches_filter: bool },
    /// It is not for this run: the filter leaves it out, or it is newer than the run.
    NotSelected,
    /// This run has tried it already, so this is a second message for the same dead letter.
    AlreadyTried,
}

impl Ledger {
    /// Begins a run and writes down who runs which command, and why, and from which state to which
    /// it moves what it takes, if it moves anything.
    pub async fn begin_run(
        &self,
        command: &str,
        action: &OperatorAction,
        filter: &(impl Serialize + Sync + std::fmt::Debug),
        changes: Option<Value>,
    ) -> Result<ReplayRun, LedgerError> {
        let id = Uuid::now_v7();
        let connection = self.connection().await?;
        let row = connection
            .query_one(
                OPEN,
                &[
                    &id,
                    &action.operator,
                    &command,
                    &action.reason,
                    &Json(filter),
                    &changes,
                ],
            )
            .await?;
        Ok(ReplayRun {
            id,
            began: row.try_get(0)?,
        })
    }

    /// Writes down that a run has ended, and what it did.
    pub async fn end_run(&self, run: &ReplayRun, counts: RunCounts) -> Result<(), LedgerError> {
        let [matched, done, skipped, failed] =
            [counts.matched, counts.done, counts.skipped, counts.failed]
                .map(|n| i64::try_from(n).unwrap_or(i64::MAX));
        let connection = self.connection().await?;
        connection
            .execute(CLOSE, &[&run.id, &matched, &done, &skipped, &failed])
            .await
            .map(drop)
    }

    /// Reads the dead letter that a message stands for. `None` if it has no row, perhaps not yet.
    pub async fn run_item(
        &self,
        id: Uuid,
        filter: &DeadLetterFilter,
        run: &ReplayRun,
    ) -> Result<Option<RunItem>, LedgerError> {
        let params = filter.params();
        let connection = self.connection().await?;
        let row = connection
            .query_opt(ITEM, &params.with(&[&run.began, &run.id, &id]))
            .await?;
        row.map(|row| {
            let status = status(&row, filter)?;
            item(&row, status)
        })
        .transpose()
    }

    /// Reads the next dead letter of a run, oldest first, whether or not a message stands for it.
    /// Returns it with its time of death, which with its id is the next call's `after`.
    pub async fn next_run_item(
        &self,
        after: Option<(Timestamp, Uuid)>,
        filter: &DeadLetterFilter,
        run: &ReplayRun,
    ) -> Result<Option<(Timestamp, RunItem)>, LedgerError> {
        let (at, id) = after.unwrap_or((Timestamp::UNIX_EPOCH, Uuid::nil()));
        let params = filter.params();
        let connection = self.connection().await?;
        let row = connection
            .query_opt(NEXT, &params.with(&[&run.began, &run.id, &at, &id]))
            .await?;
        row.map(|row| Ok((row.try_get("dead_at")?, item(&row, RunStatus::Selected)?)))
            .transpose()
    }

    /// Marks that the run has tried a dead letter, which stays open.
    pub async fn mark_tried(&self, id: Uuid, run: &ReplayRun) -> Result<(), LedgerError> {
        self.connection()
            .await?
            .execute(TRIED, &[&id, &run.id])
            .await
            .map(drop)
    }
}

/// Decides from a row of [`ITEM`].
fn status(row: &Row, filter: &DeadLetterFilter) -> Result<RunStatus, LedgerError> {
    let in_scope: bool = row.try_get("in_scope")?;
    let matches_filter: bool = row.try_get("matches_filter")?;
    let old_enough: bool = row.try_get("old_enough")?;

    if !in_scope {
        let open: bool = row.try_get("open")?;
        // It is for another run: this one is over discarded ones, or somebody wants it discarded.
        if open {
            return Ok(RunStatus::NotSelected);
        }
        // In a run over open ones a solved one was somebody else's work, so it counts as skipped.
        let over_open_ones = matches!(
            filter.scope,
            DeadLetterScope::Waiting | DeadLetterScope::Replayable
        );
        let matches_filter = matches_filter && over_open_ones;
        return Ok(RunStatus::AlreadySolved { matches_filter });
    }
    if !matches_filter || !old_enough {
        return Ok(RunStatus::NotSelected);
    }
    let tried: bool = row.try_get("tried")?;
    Ok(if tried {
        RunStatus::AlreadyTried
    } else {
        RunStatus::Selected
    })
}

fn item(row: &Row, status: RunStatus) -> Result<RunItem, LedgerError> {
    Ok(RunItem {
        id: row.try_get("id")?,
        invoice: row
            .try_get::<_, Option<Uuid>>("invoice_id")?
            .map(InvoiceId::from_uuid),
        deliveries: row.try_get("deliveries")?,
        status,
    })
}
