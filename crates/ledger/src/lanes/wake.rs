//! The lanes that the wake loop publishes wake-ups for: those with work and no worker
//! (protocol D3).

use risiti_domain::DeviceId;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::statements;

statements! {
    /// A closed breaker wakes all lanes of its host, and an open one that may be tried wakes one.
    /// `$2` and `$3` limit hosts, whose lanes are woken in the order of their last call.
    /// If the queue is empty, a wake-up older than two seconds is lost: a younger one may have been
    /// taken just now.
    ///
    /// The recursion steps from lane to lane through the index of waiting invoices. Its cost
    /// depends on the number of lanes with a backlog, and neither on idle lanes nor on the length
    /// of a backlog.
    WAKE = "
        WITH RECURSIVE waiting AS (
            (SELECT device_id FROM invoices WHERE state = 'pending' ORDER BY device_id LIMIT 1)
            UNION ALL
            SELECT (SELECT i.device_id FROM invoices i WHERE i.state = 'pending' AND i.device_id > w.device_id
                    ORDER BY i.device_id LIMIT 1)
            FROM waiting w WHERE w.device_id IS NOT NULL
        ), candidates AS (
            SELECT device_id FROM waiting WHERE device_id IS NOT NULL
            UNION SELECT device_id FROM invoices WHERE state = 'submitting'
            UNION SELECT device_id FROM invoices WHERE look_up_due_at <= now()
        ), due AS (
            SELECT l.device_id, l.host, h.breaker, row_number() OVER (PARTITION BY l.host ORDER BY l.last_call_at NULLS FIRST) AS turn
            FROM candidates c JOIN lanes l ON l.device_id = c.device_id JOIN hosts h ON h.host = l.host
            WHERE l.halted_at IS NULL AND (l.retry_at IS NULL OR l.retry_at <= now())
              AND (l.token_at IS NULL OR l.token_at < now() - interval '10 minutes'
                   OR ($1 AND l.token_at < now() - interval '2 seconds'))
              AND (h.breaker = 'closed' OR (h.breaker = 'open' AND h.retry_at <= now())
                   OR (h.breaker = 'trying' AND h.trial_until <= now()))
              AND NOT EXISTS (SELECT FROM lane_leases x WHERE x.device_id = l.device_id AND x.lease_until > now())
              AND lane_has_work(l.device_id)
        ), mine AS (
            SELECT l.device_id FROM lanes l JOIN due ON due.device_id = l.device_id
            LEFT JOIN unnest($2::text[], $3::int[]) AS most (host, lanes) ON most.host = due.host
            WHERE due.turn <= coalesce(most.lanes, 1000) AND (due.breaker = 'closed' OR due.turn = 1)
              AND (l.token_at IS NULL OR l.token_at < now() - interval '10 minutes'
                   OR ($1 AND l.token_at < now() - interval '2 seconds'))
            LIMIT 1000 FOR UPDATE OF l SKIP LOCKED
        )
        UPDATE lanes l SET token_at = now() FROM mine WHERE l.device_id = mine.device_id RETURNING l.device_id";
}

/// How many lanes of a host to wake in a round at most, because the caller has no room for more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WakeLimit {
    pub host: String,
    pub lanes: u32,
}

impl Ledger {
    /// Returns at most a thousand lanes that need a wake-up. Each is marked as having one, so that
    /// the caller has to publish it.
    pub async fn wake_lanes(
        &self,
        queue_is_empty: bool,
        limits: &[WakeLimit],
    ) -> Result<Vec<DeviceId>, LedgerError> {
        let hosts: Vec<&str> = limits.iter().map(|limit| limit.host.as_str()).collect();
        let lanes: Vec<i32> = limits
            .iter()
            .map(|limit| i32::try_from(limit.lanes).unwrap_or(i32::MAX))
            .collect();
        let rows = self
            .connection()
            .await?
            .query(WAKE, &[&queue_is_empty, &hosts, &lanes])
            .await?;
        rows.iter()
            .map(|row| Ok(DeviceId::from_uuid(row.try_get(0)?)))
            .collect()
    }
}
