//! One run over the pile at a time, what it takes up, and the row that tells of it afterwards.

use std::time::Duration;

use jiff::Timestamp;
use risiti_domain::InvoiceId;
use tokio_postgres::types::Json;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::statements;
use crate::dead_letters::list::{DeadLetterFilter, DeadLetterScope, lies_there, wanted};
use crate::operator_actions::OperatorAction;

statements! {
    TRY_LOCK = "SELECT pg_try_advisory_lock($1)";
    PROBE = "SELECT 1";
    OPEN = "
        INSERT INTO operator_actions (id, operator, command, reason, filter) VALUES ($1, $2, $3, $4, $5)
        RETURNING at";
    CLOSE = "
        UPDATE operator_actions SET matched = $2, done = $3, skipped = $4, failed = $5, ended_at = now()
        WHERE id = $1";
    /// What died after the run began is the next run's: else a fast refusal could go round and round.
    LETTER = concat!("
        SELECT d.id, d.invoice_id, d.deliveries, (", lies_there!(), ") AS lies_there,
               d.solved_at IS NULL AS open, coalesce(", wanted!(), ", false) AS wanted, d.dead_at < $7 AS old_enough,
               d.tried_in IS NOT DISTINCT FROM $8 AS tried
        FROM dead_letters d LEFT JOIN merchants m ON m.id = d.merchant_id
        WHERE d.id = $9");
    NEXT = concat!("
        SELECT d.id, d.invoice_id, d.deliveries, d.dead_at
        FROM dead_letters d LEFT JOIN merchants m ON m.id = d.merchant_id
        WHERE ", wanted!(), " AND ", lies_there!(), " AND d.dead_at < $7
          AND d.tried_in IS DISTINCT FROM $8 AND (d.dead_at, d.id) > ($9, $10)
        ORDER BY d.dead_at, d.id LIMIT 1");
    TRIED = "UPDATE dead_letters SET tried_in = $2 WHERE id = $1";
}

/// The key of the advisory lock that a run holds.
const LOCK: i64 = 0x7269_7369_7469_0045;
/// A lock whose connection does not answer for this long counts as lost.
const PROBE_DEADLINE: Duration = Duration::from_secs(5);
const PROBE_PAUSE: Duration = Duration::from_secs(2);

/// The right to run, on a connection of its own (protocol C11). Ends when dropped.
pub struct ReplayLock {
    lost: CancellationToken,
    _keeper: AbortOnDropHandle<()>,
}

impl ReplayLock {
    /// Cancelled when the lock may be somebody else's: stop before the next item.
    pub fn lost(&self) -> &CancellationToken {
        &self.lost
    }
}

/// A run that has begun.
#[derive(Clone, Debug)]
pub struct ReplayRun {
    pub id: Uuid,
    /// By the database's clock.
    pub began: Timestamp,
}

/// What became of the items of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunCounts {
    pub matched: u64,
    pub done: u64,
    pub skipped: u64,
    pub failed: u64,
}

/// What a run has to know of a dead letter.
#[derive(Clone, Debug)]
pub struct RunItem {
    pub id: Uuid,
    /// `None`: an unreadable or poison message.
    pub invoice: Option<InvoiceId>,
    /// As the row stood; a replay that is overtaken by another delivery of the same bytes notices by it.
    pub deliveries: i64,
    pub status: RunStatus,
}

/// How a dead letter stands to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunStatus {
    /// To be acted on.
    Wanted,
    /// Left the pile before; `wanted` where the run's filter would have taken it.
    Solved { wanted: bool },
    /// Not this run's.
    Left,
    /// This run has tried it before: one message of two.
    Tried,
}

impl Ledger {
    /// `None` while another run holds the lock.
    pub async fn lock_replay(&self) -> Result<Option<ReplayLock>, LedgerError> {
        let (client, connection) = self.dedicated().await?;
        let lost = CancellationToken::new();
        let ended = lost.clone().drop_guard();
        let driver = AbortOnDropHandle::new(tokio::spawn(async move {
            let _ended = ended;
            connection.await.ok();
        }));
        let asking = client.query_one(TRY_LOCK.sql, &[&LOCK]);
        let answer = tokio::time::timeout(PROBE_DEADLINE, asking).await;
        let row = answer.map_err(|_| LedgerError::Deadline(PROBE_DEADLINE))??;
        if !row.try_get::<_, bool>(0)? {
            return Ok(None);
        }
        let keeper = tokio::spawn({
            let lost = lost.clone();
            async move {
                let _driver = driver;
                let _lost = lost.drop_guard();
                loop {
                    tokio::time::sleep(PROBE_PAUSE).await;
                    let probe = client.query_one(PROBE.sql, &[]);
                    if !matches!(tokio::time::timeout(PROBE_DEADLINE, probe).await, Ok(Ok(_))) {
                        return;
                    }
                }
            }
        });
        Ok(Some(ReplayLock {
            lost,
            _keeper: AbortOnDropHandle::new(keeper),
        }))
    }

    /// Writes down who begins what, and why.
    pub async fn begin_run(
        &self,
        command: &str,
        by: &OperatorAction,
        filter: &DeadLetterFilter,
    ) -> Result<ReplayRun, LedgerError> {
        let id = Uuid::now_v7();
        let connection = self.connection().await?;
        let row = connection
            .query_one(
                OPEN,
                &[&id, &by.operator, &command, &by.reason, &Json(filter)],
            )
            .await?;
        Ok(ReplayRun {
            id,
            began: row.try_get(0)?,
        })
    }

    pub async fn end_run(&self, run: &ReplayRun, tally: RunCounts) -> Result<(), LedgerError> {
        let [matched, done, skipped, failed] =
            [tally.matched, tally.done, tally.skipped, tally.failed]
                .map(|n| i64::try_from(n).unwrap_or(i64::MAX));
        let connection = self.connection().await?;
        connection
            .execute(CLOSE, &[&run.id, &matched, &done, &skipped, &failed])
            .await
            .map(drop)
    }

    /// The dead letter a message stands for. `None`: it has no row (yet).
    pub async fn run_item(
        &self,
        id: Uuid,
        filter: &DeadLetterFilter,
        run: &ReplayRun,
    ) -> Result<Option<RunItem>, LedgerError> {
        let params = filter.params();
        let connection = self.connection().await?;
        let row = connection
            .query_opt(LETTER, &params.with(&[&run.began, &run.id, &id]))
            .await?;
        row.map(|row| {
            let wanted: bool = row.try_get("wanted")?;
            let status = match (row.try_get("lies_there")?, wanted) {
                (false, _) if row.try_get("open")? => RunStatus::Left,
                (false, wanted) => RunStatus::Solved {
                    wanted: wanted && filter.part == DeadLetterScope::Waiting,
                },
                (true, false) => RunStatus::Left,
                (true, true) if !row.try_get::<_, bool>("old_enough")? => RunStatus::Left,
                (true, true) if row.try_get("tried")? => RunStatus::Tried,
                (true, true) => RunStatus::Wanted,
            };
            item(&row, status)
        })
        .transpose()
    }

    /// The next dead letter of a run after this one, oldest first, whether or not a message stands for it.
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
        row.map(|row| Ok((row.try_get("dead_at")?, item(&row, RunStatus::Wanted)?)))
            .transpose()
    }

    /// The run took it up and leaves it where it is.
    pub async fn mark_tried(&self, id: Uuid, run: &ReplayRun) -> Result<(), LedgerError> {
        self.connection()
            .await?
            .execute(TRIED, &[&id, &run.id])
            .await
            .map(drop)
    }
}

fn item(row: &tokio_postgres::Row, status: RunStatus) -> Result<RunItem, LedgerError> {
    Ok(RunItem {
        id: row.try_get("id")?,
        invoice: row
            .try_get::<_, Option<Uuid>>("invoice_id")?
            .map(InvoiceId::from_uuid),
        deliveries: row.try_get("deliveries")?,
        status,
    })
}
