//! A backlog waits in queues and tables, never in a program. What each program holds is bounded by
//! its settings. The test compares the peak memory beside a small backlog with the peak beside a
//! large one.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use lapin::options::{BasicAckOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use risiti_testkit::{Process, amqp_url, eventually};
use uuid::Uuid;

use crate::fixture::{Fixture, RunningProgram, stk};

const FEW: usize = 500;
const FEW_DEAD_LETTERS: usize = 100;
const RECORDED: i64 = 4_000;
const FILED: i64 = 100;
const WEBHOOKS: usize = 50;
/// How much an allocator may differ between two runs. Holding 20,000 messages would take three
/// times as much.
const GROWTH_MAX_KIB: u64 = 16 * 1024;
/// Making a million messages and their rows takes this long.
const LONG_DEADLINE: Duration = Duration::from_secs(1_200);
const CONFIRMS_OUTSTANDING: usize = 1_000;

/// How many messages are put in `[payments]`, and invoices in one lane.
fn message_count() -> usize {
    std::env::var("BACKLOG_MESSAGES").map_or(20_000, |text| text.parse().unwrap())
}

#[tokio::test]
async fn backlog_costs_no_program_memory() {
    let fixture = Fixture::new().await;
    let many = message_count();
    let dead_letter_count = (many / 10).max(5_000);
    let mut peaks = Peaks::default();
    let queue = Queues::open(&fixture).await;

    peaks.record_small("risiti-ingress", ingress(&fixture, 1).await);
    queue
        .fill("payments", FEW, |n| queue.payment(1_000 + n))
        .await;
    peaks.record_small(
        "risiti-ledger-worker",
        peak_until(&fixture, "risiti-ledger-worker", "report_events", 500).await,
    );
    peaks.record_small(
        "risiti-etims-worker",
        peak_until(&fixture, "risiti-etims-worker", ACCEPTED_INVOICES, FILED).await,
    );
    add_dead_letters(&fixture, &queue, 0..FEW_DEAD_LETTERS).await;
    replay(&fixture, |args, peak| peaks.record_small(args, peak)).await;

    queue
        .fill("payments", many, |n| queue.payment(100_000 + n))
        .await;
    peaks.record_large("risiti-ingress", ingress(&fixture, 500).await);
    let recorded = fixture.count("SELECT count(*) FROM report_events").await + RECORDED;
    peaks.record_large(
        "risiti-ledger-worker",
        peak_until(&fixture, "risiti-ledger-worker", "report_events", recorded).await,
    );
    add_invoices(&fixture, many).await;
    let filed = fixture
        .count(&format!("SELECT count(*) FROM {ACCEPTED_INVOICES}"))
        .await
        + FILED;
    peaks.record_large(
        "risiti-etims-worker",
        peak_until(&fixture, "risiti-etims-worker", ACCEPTED_INVOICES, filed).await,
    );
    add_dead_letters(&fixture, &queue, FEW_DEAD_LETTERS..dead_letter_count).await;
    replay(&fixture, |args, peak| peaks.record_large(args, peak)).await;

    eprintln!("{many} messages, {dead_letter_count} dead letters");
    peaks.assert_bounded();
}

const ACCEPTED_INVOICES: &str = "report_invoices WHERE state = 'success'";

/// Peak memory in KiB beside a small and a large backlog, by program and arguments.
#[derive(Default)]
struct Peaks(Vec<(String, u64, u64)>);

impl Peaks {
    fn record_small(&mut self, program: &str, peak: u64) {
        self.0.push((program.to_owned(), peak, 0));
    }

    fn record_large(&mut self, program: &str, peak: u64) {
        let row = self.0.iter_mut().find(|(name, ..)| name == program);
        row.unwrap().2 = peak;
    }

    fn assert_bounded(&self) {
        for (program, few, many) in &self.0 {
            eprintln!(
                "{program:24} {:7.1} MiB beside little, {:7.1} MiB beside much",
                mib(*few),
                mib(*many)
            );
        }
        for (program, few, many) in &self.0 {
            assert!(
                *many > 0 && *many <= few + GROWTH_MAX_KIB,
                "{program}: {few} KiB became {many} KiB"
            );
        }
    }
}

fn mib(kib: u64) -> f64 {
    f64::from(u32::try_from(kib).unwrap()) / 1024.0
}

/// Returns the peak resident memory, or `None` once the program has ended.
fn peak(process: &Process) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

async fn peak_and_end(running: RunningProgram) -> u64 {
    let peak = peak(&running.process).unwrap();
    running.terminate_cleanly().await;
    peak
}

/// Runs a program until a view has this many rows, and returns its peak memory.
async fn peak_until(fixture: &Fixture, program: &str, rows: &str, wanted: i64) -> u64 {
    let running = fixture.start(program).await;
    let client = fixture.database.connect().await;
    let count = format!("SELECT count(*) FROM {rows}");
    eventually(&format!("{wanted} {rows}"), LONG_DEADLINE, async || {
        let found: i64 = client.query_one(&count, &[]).await.unwrap().get(0);
        (found >= wanted).then_some(())
    })
    .await;
    peak_and_end(running).await
}

async fn ingress(fixture: &Fixture, first: usize) -> u64 {
    let mut running = fixture.start("risiti-ingress").await;
    let webhooks = running.webhooks().await;
    for n in first..first + WEBHOOKS {
        assert_eq!(
            fixture.post(webhooks, "stk", &stk(n, "1160.00")).await.0,
            200
        );
    }
    peak_and_end(running).await
}

/// Runs every command that reads all dead letters, and reports its peak memory.
async fn replay(fixture: &Fixture, mut report_peak: impl FnMut(&str, u64)) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dead-letters.jsonl");
    let export = format!("export --out {}", file.display());
    let commands = [
        ("list", "list"),
        ("run --dry-run", "run --dry-run"),
        ("run", "run --yes --reason test --limit 100"),
        ("export", export.as_str()),
    ];
    for (name, command) in commands {
        let program = fixture
            .program("risiti-replay")
            .env("RISITI_OPERATOR", "jane");
        let mut process = program.args(command.split(' ')).start();
        let mut highest = 0;
        eventually(command, LONG_DEADLINE, async || {
            highest = peak(&process).unwrap_or(0).max(highest);
            process.try_exit()
        })
        .await;
        report_peak(name, highest);
    }
}

/// Adds dead letters, as rows and messages. Each is a kilobyte that no program can read.
async fn add_dead_letters(fixture: &Fixture, queue: &Queues, which: Range<usize>) {
    let statement = format!(
        "INSERT INTO dead_letters (id, cause, merchant_id, provider, body, body_sha256, headers, message)
         SELECT md5('dead letter' || n)::uuid, 'unreadable', m.id, 'daraja', body, sha256(body), '{{}}', 'not JSON'
         FROM merchants m, generate_series({}, {}) n, LATERAL (SELECT convert_to(repeat(n || ' ', 200), 'UTF8') body) b",
        which.start,
        which.end - 1
    );
    fixture
        .database
        .connect()
        .await
        .batch_execute(&statement)
        .await
        .unwrap();
    let client = fixture.database.connect().await;
    let newest = "SELECT id FROM dead_letters ORDER BY dead_at DESC, id LIMIT $1";
    let rows = client
        .query(newest, &[&i64::try_from(which.len()).unwrap()])
        .await
        .unwrap();
    let ids: Vec<Uuid> = rows.iter().map(|row| row.get(0)).collect();
    queue
        .fill("dead", which.len(), |n| dead_letter(ids[n]))
        .await;
}

fn dead_letter(id: Uuid) -> (BasicProperties, Vec<u8>) {
    let mut headers = FieldTable::default();
    headers.insert(
        "risiti-dead-letter-id".into(),
        AMQPValue::LongString(id.to_string().into()),
    );
    (
        BasicProperties::default()
            .with_message_id(id.to_string().into())
            .with_headers(headers),
        vec![b'x'; 1_000],
    )
}

/// Adds invoices, all in one lane.
async fn add_invoices(fixture: &Fixture, many: usize) {
    let client = fixture.database.connect().await;
    let statement = format!(
        "INSERT INTO payments (id, merchant_id, provider, money_key, receipt, amount, currency, method, state,
             authenticated_by, settled_at, moved_by)
         SELECT md5('sale' || n)::uuid, m.id, 'daraja', 'B' || n, 'B' || n, 116, 'KES', 'mobile_money', 'success', 'path',
             now(), 'test'
         FROM merchants m, generate_series(1, {many}) n;
         INSERT INTO invoices (id, payment_id, merchant_id, device_id, kind, amount, moved_by)
         SELECT md5('sale' || n)::uuid, md5('sale' || n)::uuid, d.merchant_id, d.id, 'sale', 116, 'test'
         FROM devices d, generate_series(1, {many}) n;
         ANALYZE"
    );
    client.batch_execute(&statement).await.unwrap();
}

/// The queues of a fixture, filled from outside.
struct Queues {
    namespace: String,
    channel: Channel,
    /// A webhook as ingress publishes it. All others are made from it.
    sample: BasicProperties,
    _connection: Connection,
}

impl Queues {
    async fn open(fixture: &Fixture) -> Self {
        let connection = Connection::connect(&amqp_url(), ConnectionProperties::default())
            .await
            .unwrap();
        let channel = connection.create_channel().await.unwrap();
        let namespace = fixture.namespace.name().to_owned();
        let mut ingress = fixture.start("risiti-ingress").await;
        let webhooks = ingress.webhooks().await;
        assert_eq!(
            fixture.post(webhooks, "stk", &stk(0, "1160.00")).await.0,
            200
        );
        let queue = format!("{namespace}.payments");
        // It arrives through the spool where ingress was not yet connected to the broker.
        let got = eventually("the webhook in its queue", LONG_DEADLINE, async || {
            let options = BasicGetOptions { no_ack: false };
            channel
                .basic_get(queue.as_str().into(), options)
                .await
                .unwrap()
        })
        .await;
        ingress.terminate_cleanly().await;
        got.delivery
            .acker
            .ack(BasicAckOptions::default())
            .await
            .unwrap();
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await
            .unwrap();
        Self {
            namespace,
            channel,
            sample: got.delivery.properties,
            _connection: connection,
        }
    }

    /// Makes the `n`th payment: the sample with another event, checkout and receipt.
    fn payment(&self, n: usize) -> (BasicProperties, Vec<u8>) {
        let sampled = self.sample.message_id().as_ref().unwrap().as_str();
        let id = Uuid::now_v7().to_string();
        let mut headers = FieldTable::default();
        for (name, value) in self.sample.headers().as_ref().unwrap().inner() {
            let AMQPValue::LongString(text) = value else {
                continue;
            };
            let text = text.to_string().replace(sampled, &id);
            let text = text.replace("ws_CO_00000708374149", &format!("ws_CO_{n:05}708374149"));
            headers.insert(name.as_str().into(), AMQPValue::LongString(text.into()));
        }
        let properties = self
            .sample
            .clone()
            .with_message_id(id.into())
            .with_headers(headers);
        (properties, stk(n, "1160.00").into_bytes())
    }

    async fn fill(
        &self,
        suffix: &str,
        count: usize,
        message: impl Fn(usize) -> (BasicProperties, Vec<u8>),
    ) {
        let queue = format!("{}.{suffix}", self.namespace);
        let mut confirms = VecDeque::new();
        for n in 0..count {
            let (properties, body) = message(n);
            let options = BasicPublishOptions::default();
            let publishing = self.channel.basic_publish(
                "".into(),
                queue.as_str().into(),
                options,
                &body,
                properties,
            );
            confirms.push_back(publishing.await.unwrap());
            if confirms.len() == CONFIRMS_OUTSTANDING {
                confirms.pop_front().unwrap().await.unwrap();
            }
        }
        for confirm in confirms {
            confirm.await.unwrap();
        }
    }
}
