//! What people changed, when and why.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::statements;

statements! {
    PAGE = "
        SELECT a.id, a.at, a.operator, a.command, a.reason, a.filter, a.changes, a.matched, a.done, a.skipped,
               a.failed, a.ended_at
        FROM operator_actions a
        WHERE ($1::timestamptz IS NULL OR a.at >= $1) AND ($2::text IS NULL OR a.operator = $2)
          AND (a.at, a.id) > ($3, $4)
        ORDER BY a.at, a.id LIMIT $5";
}

/// Which actions to list.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    pub since: Option<Timestamp>,
    pub operator: Option<String>,
}

/// One command of a person. Scripts rely on the keys it is serialised with.
#[derive(Clone, Debug, Serialize)]
pub struct AuditEntry {
    pub action_id: Uuid,
    pub at: Timestamp,
    pub operator: String,
    pub command: String,
    pub reason: Option<String>,
    /// What it was done to, or the filter of a run.
    pub subject: Value,
    /// Old and new values by field. A secret is only said to be changed.
    pub changes: Option<Value>,
    pub matched: Option<i64>,
    pub done: Option<i64>,
    pub skipped: Option<i64>,
    pub failed: Option<i64>,
    /// `None` while it runs, and for ever if it was killed.
    pub ended_at: Option<Timestamp>,
}

impl Ledger {
    /// Lists at most `limit` actions, oldest first, from the one after `after`.
    pub async fn audit_page(
        &self,
        filter: &AuditFilter,
        after: Option<&AuditEntry>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, LedgerError> {
        let (at, id) = after.map_or((Timestamp::UNIX_EPOCH, Uuid::nil()), |last| {
            (last.at, last.action_id)
        });
        let rows = self
            .connection()
            .await?
            .query(
                PAGE,
                &[&filter.since, &filter.operator, &at, &id, &i64::from(limit)],
            )
            .await?;
        rows.iter().map(read).collect()
    }
}

fn read(row: &Row) -> Result<AuditEntry, LedgerError> {
    Ok(AuditEntry {
        action_id: row.try_get(0)?,
        at: row.try_get(1)?,
        operator: row.try_get(2)?,
        command: row.try_get(3)?,
        reason: row.try_get(4)?,
        subject: row.try_get(5)?,
        changes: row.try_get(6)?,
        matched: row.try_get(7)?,
        done: row.try_get(8)?,
        skipped: row.try_get(9)?,
        failed: row.try_get(10)?,
        ended_at: row.try_get(11)?,
    })
}
