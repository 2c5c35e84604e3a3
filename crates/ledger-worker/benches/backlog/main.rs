//! How fast a backlog of STK successes is recorded, beside the same rows by multi-row statements.
//!
//! Run with servers of your own (`deploy/local/services.sh env`):
//! `BACKLOG_EVENTS=50000 cargo bench -p risiti-ledger-worker --bench backlog`
//!
//! `BACKLOG_OTHERS=6000` shows instead how long a merchant waits behind so many messages of another.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement")]

mod neighbour;
mod same_rows;

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use jiff::Timestamp;
use risiti_domain::{AuthenticatedBy, EventId, MerchantId};
use risiti_providers::{Account, BodyFormat, Channel, Envelope};
use risiti_queue::{Broker, Message, Target};
use risiti_testkit::{Namespace, Program, TestDatabase, amqp_url, eventually};
use tokio_postgres::Client;
use uuid::Uuid;

use neighbour::Others;

pub(crate) const DRAIN_MAX: Duration = Duration::from_secs(600);

#[tokio::main]
async fn main() {
    if let Ok(text) = std::env::var("BACKLOG_OTHERS") {
        let others: u32 = text.parse().expect("a number of messages");
        let payments = neighbour::waits(Others::Payments, others).await;
        let unreadable = neighbour::waits(Others::Unreadable, others).await;
        println!(
            "behind {others} messages of another merchant: payments {payments:.2} s, unreadable {unreadable:.2} s"
        );
        return;
    }
    // `cargo bench` adds its own arguments, which this program does not need.
    let events: u32 = std::env::var("BACKLOG_EVENTS")
        .map_or(20_000, |text| text.parse().expect("a number of events"));
    for with_device in [false, true] {
        let worker = drain(events, with_device).await;
        let same_rows = same_rows::rate(events.min(20_000), with_device).await;
        println!(
            "device {with_device}: {events} events, {:.0} events/s; worker {:.0} µs, postgres {:.0} µs, {:.0} WAL bytes, \
             {:.2} statements an event; same rows {same_rows:.0}/s, ratio {:.2}",
            worker.rate,
            worker.worker_micros,
            worker.postgres_micros,
            worker.wal_bytes,
            worker.statements,
            worker.rate / same_rows,
        );
    }
}

/// What one event cost while a backlog was recorded.
struct Drained {
    rate: f64,
    worker_micros: f64,
    postgres_micros: f64,
    wal_bytes: f64,
    statements: f64,
}

async fn drain(events: u32, with_device: bool) -> Drained {
    let database = TestDatabase::create().await;
    let (client, merchant) = prepare(&database, with_device).await;
    let namespace = Namespace::unique();
    let broker = Broker::connect(&amqp_url(), namespace.name(), "bench").unwrap();
    broker.wait_up().await;
    publish_all(&broker, events, |n| stk(merchant, n)).await;

    client.batch_execute("CHECKPOINT").await.ok();
    let wal = wal_position(&client).await;
    client
        .batch_execute(
            "CREATE EXTENSION IF NOT EXISTS pg_stat_statements; SELECT pg_stat_statements_reset()",
        )
        .await
        .ok();
    let worker = Program::built("risiti-ledger-worker")
        .args(
            std::env::var("BACKLOG_ARGS")
                .iter()
                .flat_map(|args| args.split(' ')),
        )
        .env("DATABASE_URL", database.url())
        .env("AMQP_URL", amqp_url())
        .env("RISITI_NAMESPACE", namespace.name())
        .start();
    let recorded = i64::from(events);
    eventually("all recorded", DRAIN_MAX, async || {
        tokio::time::sleep(Duration::from_millis(100)).await;
        (broker.depth(Target::Payments).await.ok()? == 0).then_some(())?;
        (number(&client, "SELECT count(*) FROM events").await == recorded as f64).then_some(())
    })
    .await;
    let mut backends = 0.0;
    for row in client
        .query("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'risiti-ledger-worker'", &[])
        .await
        .unwrap()
    {
        backends += cpu_seconds(row.get::<_, i32>(0).unsigned_abs());
    }
    let per_event = |total: f64| total / f64::from(events);
    let drained = Drained {
        rate: number(
            &client,
            "SELECT count(*) FILTER (WHERE recorded_at < ended) / extract(epoch FROM max(ended) - min(recorded_at))::float8
             FROM events, (SELECT max(recorded_at) AS ended FROM events) e",
        )
        .await,
        worker_micros: per_event(cpu_seconds(worker.id()) * 1e6),
        postgres_micros: per_event(backends * 1e6),
        wal_bytes: per_event(wal_position(&client).await - wal),
        statements: per_event(
            try_number(
                &client,
                "SELECT coalesce(sum(calls), 0)::float8 FROM pg_stat_statements
                 WHERE toplevel AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())",
            )
            .await
            .unwrap_or(f64::NAN),
        ),
    };
    if std::env::var("BACKLOG_TOP").is_ok() {
        let top = "SELECT format('%8s calls %6s µs %s %s', calls, round((total_exec_time / calls * 1000)::numeric, 1),
                      CASE WHEN toplevel THEN ' ' ELSE 'in' END, left(regexp_replace(query, '\\s+', ' ', 'g'), 130))
                   FROM pg_stat_statements WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
                   ORDER BY total_exec_time DESC LIMIT 25";
        if let Ok(rows) = client.query(top, &[]).await {
            rows.iter()
                .for_each(|row| println!("{}", row.get::<_, &str>(0)));
        }
    }
    drained
}

/// Migrates a database, and adds one merchant to it, with a device or without one.
pub(crate) async fn prepare(database: &TestDatabase, with_device: bool) -> (Client, MerchantId) {
    risiti_ledger::migrate(&database.url().into())
        .await
        .unwrap();
    let client = database.connect().await;
    let merchant = Uuid::now_v7();
    let device = Uuid::now_v7();
    client
        .batch_execute(&format!(
            "INSERT INTO merchants (id, slug, name) VALUES ('{merchant}', 'acme', 'Acme');"
        ))
        .await
        .unwrap();
    if with_device {
        client
            .batch_execute(&format!(
                "INSERT INTO devices (id, merchant_id, environment, dialect, base_url, pin, branch, serial, item_code,
                     item_class, item_name, tax_type, is_default)
                 VALUES ('{device}', '{merchant}', 'sandbox', 'legacy', 'http://127.0.0.1:1', 'P051234567X', '00',
                     'SN1', 'I', 'C', 'Services', 'B', true);
                 INSERT INTO lanes (device_id, host) VALUES ('{device}', 'http://127.0.0.1:1');"
            ))
            .await
            .unwrap();
    }
    (client, MerchantId::from_uuid(merchant))
}

pub(crate) async fn publish_all(broker: &Broker, count: u32, message: impl Fn(u32) -> Message) {
    let publisher = broker.publisher();
    stream::iter(0..count)
        .for_each_concurrent(100, |n| {
            let publisher = publisher.clone();
            let message = message(n);
            async move {
                publisher
                    .publish(Target::Payments, message, Duration::from_secs(30))
                    .await
                    .unwrap();
            }
        })
        .await;
}

/// The message that ingress would publish for a paid STK push.
pub(crate) fn stk(merchant: MerchantId, n: u32) -> Message {
    let event_id = Uuid::now_v7();
    let envelope = Envelope {
        event_id: EventId::from_uuid(event_id),
        merchant_id: merchant,
        channel: Channel::DarajaStk,
        format: BodyFormat::Json,
        kind: Some("stk".to_owned()),
        delivery_key: Some(format!("{}:0", checkout(n))),
        authenticated_by: AuthenticatedBy::Path,
        credential: None,
        received_at: Timestamp::now(),
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
        account: Account::default(),
        unreadable: None,
    };
    Message {
        id: event_id,
        headers: envelope.to_headers(),
        body: stk_body(n).into(),
    }
}

pub(crate) fn stk_body(n: u32) -> String {
    format!(
        "{{\n  \"Body\": {{\n    \"stkCallback\": {{\n      \"MerchantRequestID\": \"29115-34620561-{n}\",\n      \
         \"CheckoutRequestID\": \"{}\",\n      \"ResultCode\": 0,\n      \"ResultDesc\": \
         \"The service request is processed successfully.\",\n      \"CallbackMetadata\": {{\n        \"Item\": [\n          \
         {{\"Name\": \"Amount\", \"Value\": {}.00}},\n          {{\"Name\": \"MpesaReceiptNumber\", \"Value\": \"{}\"}},\n          \
         {{\"Name\": \"Balance\"}},\n          {{\"Name\": \"TransactionDate\", \"Value\": 20260928101529}},\n          \
         {{\"Name\": \"PhoneNumber\", \"Value\": 2547{:08}}}\n        ]\n      }}\n    }}\n  }}\n}}",
        checkout(n),
        100 + n % 900,
        receipt(n),
        n,
    )
}

pub(crate) fn checkout(n: u32) -> String {
    format!("ws_CO_280920261015{n:08}2547{n:08}")
}

/// Receipts of one day share their first letters, and the rest counts up.
pub(crate) fn receipt(n: u32) -> String {
    format!("UIS{n:07}")
}

pub(crate) async fn number(client: &Client, statement: &str) -> f64 {
    try_number(client, statement).await.unwrap()
}

async fn try_number(client: &Client, statement: &str) -> Option<f64> {
    let row = client
        .query_one(&format!("SELECT ({statement})::float8"), &[])
        .await
        .ok()?;
    row.get(0)
}

async fn wal_position(client: &Client) -> f64 {
    number(
        client,
        "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')",
    )
    .await
}

/// User and system time of a process so far, or 0 if it is not on this machine.
fn cpu_seconds(pid: u32) -> f64 {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks = |field: usize| after_name.split(' ').nth(field)?.parse::<f64>().ok();
    (ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0)) / TICKS_PER_SECOND
}
