//! The yardstick: the rows that a backlog leaves, written by one statement per 100 events.

use risiti_testkit::TestDatabase;
use rust_decimal::Decimal;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{checkout, prepare, receipt, stk_body};

const ROWS: u32 = 100;

const EVENTS_AND_PAYMENTS: &str = "
    e AS (
        INSERT INTO events (id, merchant_id, provider, kind, delivery_key, facts_sha256, authenticated_by, received_at, body,
            trace_id, payment_id)
        SELECT event_id, $1, 'daraja', 'stk', checkout_id || ':0', sha256(checkout_id::bytea), 'path', now(), body,
            '4bf92f3577b34da6a3ce929d0e0e4736', payment_id FROM r
    ), p AS (
        INSERT INTO payments (id, merchant_id, provider, money_key, checkout_id, receipt, amount, currency, phone, phone_is_full,
            method, authenticated_by, state, settled_at, occurred_at, moved_by, moved_because, moved_event)
        SELECT payment_id, $1, 'daraja', receipt, checkout_id, receipt, amount, 'KES', '254708374149', true, 'mobile_money',
            'path', 'success', now(), now(), 'ledger-worker', 'money arrived', event_id FROM r
    )";
const INVOICES: &str = "
    , i AS (
        INSERT INTO invoices (id, payment_id, merchant_id, device_id, kind, amount, event_id, moved_by, moved_because, moved_event)
        SELECT invoice_id, payment_id, $1, (SELECT id FROM devices), 'sale', amount, event_id, 'ledger-worker',
            'the payment owes a receipt', event_id FROM r
    )";

/// Events a second of one client that writes a row of each table for each event.
pub(crate) async fn rate(events: u32, with_device: bool) -> f64 {
    let database = TestDatabase::create().await;
    let (client, merchant) = prepare(&database, with_device).await;
    let statement = format!(
        "WITH r AS (
             SELECT * FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::numeric[], $8::bytea[])
                 AS r (event_id, payment_id, invoice_id, checkout_id, receipt, amount, body)
         ), {EVENTS_AND_PAYMENTS} {} SELECT 1",
        if with_device { INVOICES } else { "" }
    );
    let statement = client.prepare(&statement).await.unwrap();

    let begun = Instant::now();
    for batch in 0..events / ROWS {
        let rows = batch * ROWS..(batch + 1) * ROWS;
        let ids = || rows.clone().map(|_| Uuid::now_v7()).collect::<Vec<_>>();
        let checkouts: Vec<String> = rows.clone().map(checkout).collect();
        let receipts: Vec<String> = rows.clone().map(receipt).collect();
        let amounts: Vec<Decimal> = rows
            .clone()
            .map(Decimal::from)
            .map(|n| n + Decimal::ONE)
            .collect();
        let bodies: Vec<Vec<u8>> = rows.clone().map(|n| stk_body(n).into_bytes()).collect();
        client
            .query(
                &statement,
                &[
                    &merchant.uuid(),
                    &ids(),
                    &ids(),
                    &ids(),
                    &checkouts,
                    &receipts,
                    &amounts,
                    &bodies,
                ],
            )
            .await
            .unwrap();
    }
    f64::from(events) / begun.elapsed().as_secs_f64()
}
