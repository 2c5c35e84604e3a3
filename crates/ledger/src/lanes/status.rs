//! One lane as a person sees it. `risiti-admin device show` and `risiti-replay lanes list` show the
//! same.

use jiff::Timestamp;
use risiti_domain::{DeviceId, LaneState};
use serde::Serialize;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::statements;

statements! {
    /// Pending counts only what could be filed now, because a credit note waits for its sale
    /// (protocol D2).
    LANE_STATUS = "SELECT d.id, m.slug, d.environment, d.dialect, d.pin, d.branch, d.serial, d.base_url,
        lane_state(d.id, l.halted_at IS NOT NULL), l.halt_reason, l.next_invoice_no,
        coalesce(work.pending, 0), coalesce(work.submitting, 0), coalesce(work.dead, 0),
        work.oldest_pending_seconds, l.last_outcome, l.last_call_at, l.retry_at
        FROM devices d
        JOIN merchants m ON m.id = d.merchant_id
        JOIN lanes l ON l.device_id = d.id
        LEFT JOIN LATERAL (
            SELECT count(*) FILTER (WHERE i.state = 'pending' AND eligible) AS pending,
                count(*) FILTER (WHERE i.state = 'submitting') AS submitting,
                count(*) FILTER (WHERE i.state = 'dead') AS dead,
                extract(epoch FROM now() - min(i.created_at) FILTER (WHERE i.state = 'pending' AND eligible))::bigint
                    AS oldest_pending_seconds
            FROM (SELECT i.state, i.created_at,
                    i.kind = 'sale'
                        OR (SELECT sale.state FROM invoices sale WHERE sale.id = i.sale_id) = 'success' AS eligible
                FROM invoices i
                WHERE i.device_id = d.id AND i.state IN ('pending', 'submitting', 'dead')) i
        ) work ON true
        WHERE $1::uuid IS NULL OR d.id = $1
        ORDER BY m.slug, d.environment, d.pin, d.branch";
}

/// The state of a lane. It serialises with the keys that documents and scripts rely on.
#[derive(Clone, Debug, Serialize)]
pub struct LaneStatus {
    pub device_id: DeviceId,
    /// The merchant's slug.
    pub merchant: String,
    pub environment: String,
    pub dialect: String,
    pub pin: String,
    pub branch: String,
    pub serial: String,
    pub base_url: String,
    pub lane_state: LaneState,
    pub halt_reason: Option<String>,
    pub next_invoice_no: i64,
    /// Invoices that could be sent now.
    pub pending: i64,
    pub submitting: i64,
    pub dead: i64,
    /// Age of the oldest of `pending`.
    pub oldest_pending_seconds: Option<i64>,
    pub last_outcome: Option<String>,
    pub last_call_at: Option<Timestamp>,
    pub retry_at: Option<Timestamp>,
}

impl Ledger {
    /// Reads every lane, ordered by merchant.
    pub async fn lane_statuses(&self) -> Result<Vec<LaneStatus>, LedgerError> {
        let rows = self
            .connection()
            .await?
            .query(LANE_STATUS, &[&None::<Uuid>])
            .await?;
        rows.iter().map(read).collect()
    }

    /// Reads one lane. It is `None` when there is no such device.
    pub async fn lane_status(&self, device: DeviceId) -> Result<Option<LaneStatus>, LedgerError> {
        let row = self
            .connection()
            .await?
            .query_opt(LANE_STATUS, &[&Some(device.uuid())])
            .await?;
        row.as_ref().map(read).transpose()
    }
}

fn read(row: &Row) -> Result<LaneStatus, LedgerError> {
    Ok(LaneStatus {
        device_id: DeviceId::from_uuid(row.try_get(0)?),
        merchant: row.try_get(1)?,
        environment: row.try_get(2)?,
        dialect: row.try_get(3)?,
        pin: row.try_get(4)?,
        branch: row.try_get(5)?,
        serial: row.try_get(6)?,
        base_url: row.try_get(7)?,
        lane_state: lane_state(row)?,
        halt_reason: row.try_get(9)?,
        next_invoice_no: row.try_get(10)?,
        pending: row.try_get(11)?,
        submitting: row.try_get(12)?,
        dead: row.try_get(13)?,
        oldest_pending_seconds: row.try_get(14)?,
        last_outcome: row.try_get(15)?,
        last_call_at: row.try_get(16)?,
        retry_at: row.try_get(17)?,
    })
}

/// Parses what the database function `lane_state` returns.
fn lane_state(row: &Row) -> Result<LaneState, LedgerError> {
    let text: &str = row.try_get(8)?;
    text.parse().map_err(|_| LedgerError::Stored {
        table: "lanes",
        column: "lane_state",
        row: row.try_get::<_, Uuid>(0).unwrap_or_default().to_string(),
    })
}
