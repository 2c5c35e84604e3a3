//! What the wake loop publishes tokens for: lanes with work that nobody seems to be on (protocol D3).

use risiti_domain::DeviceId;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::statements;

statements! {
    /// An open breaker that may be tried gets one lane, a closed one all of its lanes. With an empty queue
    /// a token must be lost; the two seconds are for one that was taken from it just now.
    ///
    /// The recursion steps from lane to lane through the index of waiting invoices: what it costs depends on the
    /// lanes with a backlog, neither on the idle ones nor on how long a backlog is.
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
            SELECT l.device_id, h.breaker, row_number() OVER (PARTITION BY l.host ORDER BY l.last_call_at NULLS FIRST) AS turn
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
            WHERE (due.breaker = 'closed' OR due.turn = 1)
              AND (l.token_at IS NULL OR l.token_at < now() - interval '10 minutes'
                   OR ($1 AND l.token_at < now() - interval '2 seconds'))
            LIMIT 1000 FOR UPDATE OF l SKIP LOCKED
        )
        UPDATE lanes l SET token_at = now() FROM mine WHERE l.device_id = mine.device_id RETURNING l.device_id";
}

impl Ledger {
    /// Lanes that need a token, at most a thousand. Each is marked as having one, so publish it.
    pub async fn wake_lanes(&self, queue_is_empty: bool) -> Result<Vec<DeviceId>, LedgerError> {
        let rows = self
            .connection()
            .await?
            .query(WAKE, &[&queue_is_empty])
            .await?;
        rows.iter()
            .map(|row| Ok(DeviceId::from_uuid(row.try_get(0)?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use risiti_testkit::TestDatabase;

    use super::*;
    use crate::DatabaseSettings;

    const LANES: &str = "
        INSERT INTO merchants (id, slug, name) VALUES (md5('m')::uuid, 'acme', 'Acme');
        INSERT INTO devices (id, merchant_id, environment, dialect, base_url, pin, branch, serial, item_code, item_class,
            item_name, tax_type)
        SELECT md5('d' || n)::uuid, md5('m')::uuid, 'sandbox', 'legacy', 'http://127.0.0.1:1',
            'P' || lpad(n::text, 9, '0') || 'X', '00', 'SN1', 'I', 'C', 'Services', 'B'
        FROM generate_series(1, 1001) n;
        INSERT INTO lanes (device_id, host) SELECT id, 'http://127.0.0.1:1' FROM devices;
        INSERT INTO payments (id, merchant_id, provider, money_key, receipt, amount, currency, method, state,
            authenticated_by, settled_at, moved_by)
        SELECT md5('p' || n)::uuid, md5('m')::uuid, 'daraja', 'k' || n, 'R', 116, 'KES', 'mobile_money', 'success', 'path',
            now(), 'test'
        FROM generate_series(1, 1001) n;
        INSERT INTO invoices (id, payment_id, merchant_id, device_id, kind, amount, moved_by)
        SELECT md5('i' || n)::uuid, md5('p' || n)::uuid, md5('m')::uuid, md5('d' || n)::uuid, 'sale', 116, 'test'
        FROM generate_series(1, 1001) n";

    #[tokio::test]
    async fn a_round_wakes_a_thousand_lanes_at_most() {
        let database = TestDatabase::create().await;
        let url = secrecy::SecretString::from(database.url());
        crate::migrate(&url).await.unwrap();
        database.connect().await.batch_execute(LANES).await.unwrap();
        let settings = DatabaseSettings {
            url,
            pool_size: 1,
            role: None,
            application_name: "test",
        };
        let ledger = Ledger::open(settings).unwrap();
        assert_eq!(ledger.wake_lanes(false).await.unwrap().len(), 1_000);
        assert_eq!(ledger.wake_lanes(false).await.unwrap().len(), 1);
    }
}
