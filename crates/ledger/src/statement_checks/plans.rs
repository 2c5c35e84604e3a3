//! How statements find their rows in a filled database.

use tokio_postgres::{Client, SimpleQueryMessage};

use super::{ALL, execute_with_nulls, migrated};
use crate::db::statements::Statement;

/// The tables that grow with every payment.
const LARGE: [&str; 6] = [
    "events",
    "payments",
    "invoices",
    "submissions",
    "dead_letters",
    "transitions",
];

/// Statements that count rows. The gauges may use a fiftieth of the time, and a command counts
/// once.
const COUNTS: [&str; 9] = [
    "risiti_ledger::flagged::gauges::MESSAGES",
    "risiti_ledger::lanes::gauges::UNFILED",
    "risiti_ledger::lanes::gauges::FILED",
    "risiti_ledger::dead_letters::groups::GROUPS",
    "risiti_ledger::dead_letters::list::COUNTS",
    "risiti_ledger::dead_letters::list::UNCHANGED",
    "risiti_ledger::dead_letters::would_send::WOULD_SEND",
    "risiti_ledger::overview::status::INVOICES",
    "risiti_ledger::overview::status::DEAD_LETTERS",
];

/// Rows of 200 merchants with a device each. Nearly all are settled, as in a database that has been
/// in use.
const FILL: &str = "
    INSERT INTO merchants (id, slug, name) SELECT md5('m' || n)::uuid, 'm' || n, 'M' FROM generate_series(0, 199) n;
    INSERT INTO devices (id, merchant_id, environment, dialect, base_url, pin, branch, serial, item_code, item_class,
        item_name, tax_type, is_default)
    SELECT md5('d' || n)::uuid, md5('m' || n)::uuid, 'sandbox', 'legacy', 'http://127.0.0.1:1',
        'P' || lpad(n::text, 9, '0') || 'X', '00', 'SN1', 'I', 'C', 'Services', 'B', true
    FROM generate_series(0, 199) n;
    INSERT INTO lanes (device_id, host) SELECT id, 'http://127.0.0.1:1' FROM devices;
    INSERT INTO payments (id, merchant_id, provider, money_key, checkout_id, reference, receipt, amount, currency, method,
        state, authenticated_by, settled_at, moved_by)
    SELECT md5('p' || n)::uuid, md5('m' || n % 200)::uuid, 'daraja', 'k' || n, 'c' || n, 'r' || n, 'R', 116, 'KES',
        'mobile_money', 'success', 'path', now(), 'test'
    FROM generate_series(1, 40000) n;
    INSERT INTO events (id, merchant_id, provider, kind, delivery_key, facts_sha256, authenticated_by, received_at, body,
        payment_id)
    SELECT md5('e' || n)::uuid, md5('m' || n % 200)::uuid, 'daraja', 'stk', 'k' || n, '', 'path', now(), '',
        md5('p' || n)::uuid
    FROM generate_series(1, 40000) n;
    ALTER TABLE invoices DISABLE TRIGGER USER;
    INSERT INTO invoices (id, payment_id, merchant_id, device_id, kind, amount, state, event_id, moved_by)
    SELECT md5('i' || n)::uuid, md5('p' || n)::uuid, md5('m' || n % 200)::uuid, md5('d' || n % 200)::uuid, 'sale', 116,
        CASE WHEN n > 39000 THEN 'pending' ELSE 'dead' END, md5('e' || n)::uuid, 'test'
    FROM generate_series(1, 40000) n;
    ALTER TABLE invoices ENABLE TRIGGER USER;
    INSERT INTO submissions (invoice_id, device_id, invoice_no, claim_id, body, outcome)
    SELECT md5('i' || n)::uuid, md5('d' || n % 200)::uuid, 1 + n / 200, md5('x')::uuid, '', 'refused'
    FROM generate_series(1, 40000) n;
    INSERT INTO dead_letters (id, cause, merchant_id, provider, body, body_sha256, headers, dead_at)
    SELECT md5('l' || n)::uuid, 'unreadable', md5('m' || n % 200)::uuid, 'daraja', 'x', sha256(n::text::bytea), '{}',
        now() - n * interval '1 second'
    FROM generate_series(1, 40000) n;
    ANALYZE;
    SET plan_cache_mode = force_generic_plan;";

/// The lines of a statement's plan, which is the same for any parameters. `None` for what cannot be
/// prepared.
async fn plan(client: &Client, statement: Statement) -> Option<Vec<String>> {
    client
        .batch_execute(&format!("PREPARE looked_at AS {}", statement.sql))
        .await
        .ok()?;
    let execute = execute_with_nulls(client, "looked_at", statement).await;
    let rows = client
        .simple_query(&format!("EXPLAIN {execute}"))
        .await
        .unwrap();
    client.batch_execute("DEALLOCATE looked_at").await.unwrap();
    let text = |message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    };
    Some(rows.into_iter().filter_map(text).collect())
}

/// Merchants who sell faster than their ten devices file.
const LONG_BACKLOG: &str = "
    ALTER TABLE invoices DISABLE TRIGGER USER;
    UPDATE invoices i SET device_id = md5('d' || n % 10)::uuid,
        state = CASE WHEN n > 20000 THEN 'pending' ELSE 'success' END,
        invoice_no = CASE WHEN n > 20000 THEN NULL ELSE n END,
        receipt_no = CASE WHEN n > 20000 THEN NULL ELSE n END
    FROM generate_series(1, 40000) n WHERE i.id = md5('i' || n)::uuid;
    ALTER TABLE invoices ENABLE TRIGGER USER;
    ANALYZE invoices;";

#[tokio::test]
async fn no_statement_reads_a_large_table_whole_but_those_that_count() {
    let (_database, client) = migrated().await;
    client.batch_execute(FILL).await.unwrap();
    assert_eq!(whole_reads(&client).await, [""; 0]);
    client.batch_execute(LONG_BACKLOG).await.unwrap();
    assert_eq!(whole_reads(&client).await, [""; 0]);

    // A plan does not show what a function reads.
    let whole_reads_so_far =
        "SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relid = 'invoices'::regclass";
    client
        .batch_execute("BEGIN; SELECT lane_has_work(md5('d0')::uuid)")
        .await
        .unwrap();
    let reads: i64 = client
        .query_one(whole_reads_so_far, &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(reads, 0);
}

/// The statements that read a large table whole and may not.
async fn whole_reads(client: &Client) -> Vec<String> {
    let mut looked_at = 0;
    let mut whole = Vec::new();
    for statement in ALL.iter().copied().flatten() {
        let Some(lines) = plan(client, *statement).await else {
            continue;
        };
        looked_at += 1;
        let reads = |line: &&String| {
            LARGE
                .iter()
                .any(|table| line.contains(&format!("Seq Scan on {table}")))
        };
        if let Some(line) = lines.iter().find(reads)
            && !COUNTS.contains(&statement.name)
        {
            whole.push(format!("{}: {}", statement.name, line.trim()));
        }
    }
    assert!(looked_at > 100, "{looked_at}");
    whole
}
