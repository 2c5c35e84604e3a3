//! Which lanes to wake after new invoices were committed, and the mark that keeps one wake-up per
//! lane.

use risiti_domain::DeviceId;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::statements;

statements! {
    /// A lane that is left out here does not wait long. Whoever holds its lease looks for work
    /// before giving it back, and the wake loop finds an empty `token_at` within a second
    /// (protocol D3).
    MARK = "
        UPDATE lanes SET token_at = now() WHERE device_id IN (
            SELECT l.device_id FROM lanes l
            WHERE l.device_id = ANY($1) AND l.halted_at IS NULL
              AND (l.retry_at IS NULL OR l.retry_at <= now())
              AND (l.token_at IS NULL OR l.token_at < now() - interval '10 minutes')
              AND NOT EXISTS (SELECT FROM lane_leases x WHERE x.device_id = l.device_id AND x.lease_until > now())
            ORDER BY l.device_id FOR UPDATE SKIP LOCKED)
        RETURNING device_id";
    HOST = "SELECT host FROM lanes WHERE device_id = $1";
    UNMARK = "UPDATE lanes SET token_at = NULL WHERE device_id = ANY($1)";
}

impl Ledger {
    /// Returns those of the lanes that need a wake-up now. Each is marked as having one, so that
    /// the caller has to publish it. A lane that another transaction is writing to is left to the
    /// wake loop.
    pub async fn mark_wake_ups(&self, lanes: &[DeviceId]) -> Result<Vec<DeviceId>, LedgerError> {
        let rows = self
            .connection()
            .await?
            .query(MARK, &[&uuids(lanes)])
            .await?;
        rows.iter()
            .map(|row| Ok(DeviceId::from_uuid(row.try_get(0)?)))
            .collect()
    }

    /// Reads which host a lane belongs to. `None` if there is no such lane.
    pub async fn lane_host(&self, lane: DeviceId) -> Result<Option<String>, LedgerError> {
        let connection = self.connection().await?;
        let row = connection.query_opt(HOST, &[&lane.uuid()]).await?;
        row.map(|row| Ok(row.try_get(0)?)).transpose()
    }

    /// Removes the mark of lanes whose wake-up was not published, or was not used. So the wake loop
    /// publishes another one.
    pub async fn unmark_wake_ups(&self, lanes: &[DeviceId]) -> Result<(), LedgerError> {
        self.connection()
            .await?
            .execute(UNMARK, &[&uuids(lanes)])
            .await
            .map(drop)
    }
}

fn uuids(lanes: &[DeviceId]) -> Vec<Uuid> {
    lanes.iter().map(|lane| lane.uuid()).collect()
}
