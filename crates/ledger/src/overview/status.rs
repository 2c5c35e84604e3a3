//! The state of the whole in one look, a section at a time. A section that takes too long fails
//! alone.

use serde_json::Value;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::{Statement, statements};

statements! {
    /// Ids of events and payments are made in the order of time, so the newest ones are read by
    /// their key. A receipt's time is when its invoice became `success` here.
    FLOW = "
        SELECT jsonb_build_object(
            'last_webhook', webhook.at, 'last_webhook_seconds', extract(epoch FROM now() - webhook.at)::bigint,
            'last_payment', payment.at, 'last_payment_seconds', extract(epoch FROM now() - payment.at)::bigint,
            'last_receipt', receipt.at, 'last_receipt_seconds', extract(epoch FROM now() - receipt.at)::bigint)
        FROM (SELECT (SELECT e.received_at FROM events e ORDER BY e.id DESC LIMIT 1) AS at) webhook,
             (SELECT max(p.settled_at) AS at
              FROM (SELECT settled_at FROM payments ORDER BY id DESC LIMIT 1000) p) payment,
             (SELECT max(last.at) AS at FROM lanes l, LATERAL (
                SELECT (SELECT max(t.at) FROM report_transitions t
                        WHERE t.subject_id = i.id AND t.to_state = 'success') AS at
                FROM invoices i
                WHERE i.device_id = l.device_id AND i.invoice_no IS NOT NULL AND i.state = 'success'
                ORDER BY i.invoice_no DESC LIMIT 1) last) receipt";
    /// The oldest is found as the gauge finds it, and the sale of a credit note is a sub-select for
    /// the same reason.
    INVOICES = "
        SELECT jsonb_build_object(
            'pending', (SELECT count(*) FROM invoices WHERE state = 'pending'),
            'submitting', (SELECT count(*) FROM invoices WHERE state = 'submitting'),
            'oldest', (SELECT jsonb_build_object('invoice_id', i.id, 'state', i.state, 'device_id', i.device_id,
                    'merchant', (SELECT m.slug FROM merchants m WHERE m.id = i.merchant_id),
                    'seconds', greatest(0, extract(epoch FROM now() - i.created_at))::bigint)
                FROM invoices i
                WHERE i.state IN ('pending', 'submitting') AND (i.state = 'submitting' OR i.kind = 'sale'
                    OR (SELECT s.state FROM invoices s WHERE s.id = i.sale_id) = 'success')
                ORDER BY i.created_at LIMIT 1))";
    LANES = "
        SELECT jsonb_build_object(
            'states', (SELECT jsonb_object_agg(s.state, s.lanes) FROM (
                SELECT lane_state(l.device_id, l.halted_at IS NOT NULL) AS state, count(*) AS lanes
                FROM lanes l GROUP BY 1) s),
            'halted', (SELECT jsonb_agg(to_jsonb(h) ORDER BY h.halted_at) FROM (
                SELECT l.device_id, m.slug AS merchant, l.halted_at,
                       extract(epoch FROM now() - l.halted_at)::bigint AS seconds, l.halt_reason AS reason
                FROM lanes l JOIN devices d ON d.id = l.device_id JOIN merchants m ON m.id = d.merchant_id
                WHERE l.halted_at IS NOT NULL ORDER BY l.halted_at LIMIT 10) h),
            'oldest_wake_up_seconds', (SELECT extract(epoch FROM now() - min(token_at))::bigint FROM lanes))";
    HOSTS = "
        SELECT coalesce(jsonb_agg(jsonb_build_object('host', h.host, 'breaker', h.breaker, 'retry_at', h.retry_at,
            'last_answer_seconds', extract(epoch FROM now() - h.last_answer_at)::bigint,
            'lanes', (SELECT count(*) FROM lanes l WHERE l.host = h.host)) ORDER BY h.host), '[]')
        FROM hosts h WHERE EXISTS (SELECT FROM lanes l WHERE l.host = h.host)";
    /// A worker whose heartbeat is older has lost its share (protocol D5).
    WORKERS = "
        SELECT coalesce(jsonb_agg(jsonb_build_object('worker', p.process_id, 'host', p.host, 'slots', p.share,
            'heartbeat_seconds', extract(epoch FROM clock_timestamp() - p.heartbeat_at)::bigint)
            ORDER BY p.host, p.process_id), '[]')
        FROM etims_processes p WHERE p.heartbeat_at >= clock_timestamp() - interval '10 seconds'";
    /// Programs name their connections. A program opens some only when it needs them, so the count
    /// is no count of programs.
    CONNECTIONS = "
        SELECT coalesce(jsonb_object_agg(a.application_name, a.connections), '{}') FROM (
            SELECT application_name, count(*) AS connections FROM pg_stat_activity
            WHERE datname = current_database() AND application_name LIKE 'risiti-%' GROUP BY 1) a";
    DEAD_LETTERS = "
        SELECT jsonb_build_object('oldest_seconds', extract(epoch FROM now() - min(c.oldest))::bigint,
            'causes', coalesce(jsonb_object_agg(c.cause, c.letters) FILTER (WHERE c.cause IS NOT NULL), '{}'))
        FROM (SELECT cause, count(*) AS letters, min(dead_at) AS oldest FROM dead_letters
              WHERE solved_at IS NULL GROUP BY cause) c";
    FLAGGED = "
        SELECT jsonb_build_object('payments', count(*),
            'oldest_seconds', extract(epoch FROM now() - min(recorded_at))::bigint)
        FROM payments WHERE conflict AND state <> 'folded'";
    SUSPECTS = "
        SELECT jsonb_build_object('messages', count(*),
            'oldest_seconds', extract(epoch FROM now() - min(first_at))::bigint)
        FROM suspects WHERE closed_at IS NULL";
}

/// One part of the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusSection {
    /// When the last webhook, payment and receipt came.
    Flow,
    /// What waits to be filed.
    Invoices,
    Lanes,
    /// KRA's hosts and their breakers.
    Hosts,
    /// Etims-workers that live, with their slots.
    Workers,
    /// Database connections by program.
    Connections,
    DeadLetters,
    /// Payments that a person must look at.
    Flagged,
    /// Messages that were delivered too often.
    Suspects,
}

impl StatusSection {
    pub const ALL: [Self; 9] = [
        Self::Flow,
        Self::Invoices,
        Self::Lanes,
        Self::Hosts,
        Self::Workers,
        Self::Connections,
        Self::DeadLetters,
        Self::Flagged,
        Self::Suspects,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Flow => "flow",
            Self::Invoices => "invoices",
            Self::Lanes => "lanes",
            Self::Hosts => "hosts",
            Self::Workers => "etims_workers",
            Self::Connections => "database_connections",
            Self::DeadLetters => "dead_letters",
            Self::Flagged => "flagged",
            Self::Suspects => "suspects",
        }
    }

    fn statement(self) -> Statement {
        match self {
            Self::Flow => FLOW,
            Self::Invoices => INVOICES,
            Self::Lanes => LANES,
            Self::Hosts => HOSTS,
            Self::Workers => WORKERS,
            Self::Connections => CONNECTIONS,
            Self::DeadLetters => DEAD_LETTERS,
            Self::Flagged => FLAGGED,
            Self::Suspects => SUSPECTS,
        }
    }
}

impl Ledger {
    /// Reads one part of the state.
    pub async fn status_section(&self, section: StatusSection) -> Result<Value, LedgerError> {
        let row = self
            .connection()
            .await?
            .query_one(section.statement(), &[])
            .await?;
        Ok(row.try_get(0)?)
    }
}
