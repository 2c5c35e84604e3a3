//! A backlog waits in queues and tables, never in a program: what each holds is bounded by its settings, however
//! much there is to do. Peaks beside a small backlog are compared with those beside a large one.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use lapin::options::{BasicAckOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use risiti_testkit::{Process, amqp_url, eventually};
use uuid::Uuid;

use crate::stack::{Running, Stack, stk};

const FEW: usize = 500;
const FEW_LETTERS: usize = 100;
const RECORDED: i64 = 4_000;
const FILED: i64 = 100;
const WEBHOOKS: usize = 50;
/// What an allocator may do differently from one time to the next. 20,000 messages held would come to thrice that.
const ROOM_KIB: u64 = 16 * 1024;
/// A million messages and their rows take a while to make.
const BOUND: Duration = Duration::from_secs(1_200);
const CONFIRMS_OUTSTANDING: usize = 1_000;

/// In `[payments]`, and as many invoices in one lane.
fn messages() -> usize {
    std::env::var("BACKLOG_MESSAGES").map_or(20_000, |text| text.parse().unwrap())
}

#[tokio::test]
async fn a_backlog_costs_no_program_memory() {
    let (stack, many) = (Stack::new().await, messages());
    let letters = (many / 10).max(5_000);
    let mut peaks = Peaks::default();
    let queue = Queue::open(&stack).await;

    peaks.few("risiti-ingress", ingress(&stack, 1).await);
    queue
        .fill("payments", FEW, |n| queue.payment(1_000 + n))
        .await;
    peaks.few(
        "risiti-ledger-worker",
        until(&stack, "risiti-ledger-worker", "report_events", 500).await,
    );
    peaks.few(
        "risiti-etims-worker",
        until(&stack, "risiti-etims-worker", ACCEPTED, FILED).await,
    );
    dead_letters(&stack, &queue, 0..FEW_LETTERS).await;
    replay(&stack, |args, peak| peaks.few(args, peak)).await;

    queue
        .fill("payments", many, |n| queue.payment(100_000 + n))
        .await;
    peaks.many("risiti-ingress", ingress(&stack, 500).await);
    let recorded = stack.count("SELECT count(*) FROM report_events").await + RECORDED;
    peaks.many(
        "risiti-ledger-worker",
        until(&stack, "risiti-ledger-worker", "report_events", recorded).await,
    );
    invoices(&stack, many).await;
    let filed = stack
        .count(&format!("SELECT count(*) FROM {ACCEPTED}"))
        .await
        + FILED;
    peaks.many(
        "risiti-etims-worker",
        until(&stack, "risiti-etims-worker", ACCEPTED, filed).await,
    );
    dead_letters(&stack, &queue, FEW_LETTERS..letters).await;
    replay(&stack, |args, peak| peaks.many(args, peak)).await;

    eprintln!("{many} messages, {letters} dead letters");
    peaks.hold();
}

const ACCEPTED: &str = "report_invoices WHERE state = 'success'";

/// Highest memory in KiB, by program and arguments.
#[derive(Default)]
struct Peaks(Vec<(String, u64, u64)>);

impl Peaks {
    fn few(&mut self, program: &str, peak: u64) {
        self.0.push((program.to_owned(), peak, 0));
    }

    fn many(&mut self, program: &str, peak: u64) {
        let row = self.0.iter_mut().find(|(name, ..)| name == program);
        row.unwrap().2 = peak;
    }

    fn hold(&self) {
        for (program, few, many) in &self.0 {
            eprintln!(
                "{program:24} {:7.1} MiB beside little, {:7.1} MiB beside much",
                mib(*few),
                mib(*many)
            );
        }
        for (program, few, many) in &self.0 {
            assert!(
                *many > 0 && *many <= few + ROOM_KIB,
                "{program}: {few} KiB became {many} KiB"
            );
        }
    }
}

fn mib(kib: u64) -> f64 {
    f64::from(u32::try_from(kib).unwrap()) / 1024.0
}

/// The most that was ever resident; `None` once the program has ended.
fn peak(process: &Process) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

async fn peak_and_end(running: Running) -> u64 {
    let peak = peak(&running.process).unwrap();
    running.ends_well().await;
    peak
}

/// Lets it work until a view has so many rows.
async fn until(stack: &Stack, program: &str, rows: &str, wanted: i64) -> u64 {
    let running = stack.start(program).await;
    let client = stack.database.connect().await;
    let count = format!("SELECT count(*) FROM {rows}");
    eventually(&format!("{wanted} {rows}"), BOUND, async || {
        let found: i64 = client.query_one(&count, &[]).await.unwrap().get(0);
        (found >= wanted).then_some(())
    })
    .await;
    peak_and_end(running).await
}

async fn ingress(stack: &Stack, first: usize) -> u64 {
    let mut running = stack.start("risiti-ingress").await;
    let webhooks = running.webhooks().await;
    for n in first..first + WEBHOOKS {
        assert_eq!(stack.post(webhooks, "stk", &stk(n, "1160.00")).await.0, 200);
    }
    peak_and_end(running).await
}

/// Whatever goes over the pile, each by itself.
async fn replay(stack: &Stack, mut seen: impl FnMut(&str, u64)) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("letters.jsonl");
    let export = format!("export --out {}", file.display());
    let commands = [
        ("list", "list"),
        ("run --dry-run", "run --dry-run"),
        ("run", "run --yes --reason test --limit 100"),
        ("export", export.as_str()),
    ];
    for (name, command) in commands {
        let program = stack
            .program("risiti-replay")
            .env("RISITI_OPERATOR", "jane");
        let mut process = program.args(command.split(' ')).start();
        let mut highest = 0;
        eventually(command, BOUND, async || {
            highest = peak(&process).unwrap_or(0).max(highest);
            process.try_exit()
        })
        .await;
        seen(name, highest);
    }
}

/// Rows and messages, each a kilobyte that no program of ours can read.
async fn dead_letters(stack: &Stack, queue: &Queue, which: Range<usize>) {
    let statement = format!(
        "INSERT INTO dead_letters (id, cause, merchant_id, provider, body, body_sha256, headers, message)
         SELECT md5('letter' || n)::uuid, 'unreadable', m.id, 'daraja', body, sha256(body), '{{}}', 'not JSON'
         FROM merchants m, generate_series({}, {}) n, LATERAL (SELECT convert_to(repeat(n || ' ', 200), 'UTF8') body) b",
        which.start,
        which.end - 1
    );
    stack
        .database
        .connect()
        .await
        .batch_execute(&statement)
        .await
        .unwrap();
    let client = stack.database.connect().await;
    let (newest, count) = (
        "SELECT id FROM dead_letters ORDER BY dead_at DESC, id LIMIT $1",
        which.len(),
    );
    let rows = client
        .query(newest, &[&i64::try_from(count).unwrap()])
        .await
        .unwrap();
    let ids: Vec<Uuid> = rows.iter().map(|row| row.get(0)).collect();
    queue.fill("dead", which.len(), |n| letter(ids[n])).await;
}

fn letter(id: Uuid) -> (BasicProperties, Vec<u8>) {
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

/// All in one lane.
async fn invoices(stack: &Stack, many: usize) {
    let client = stack.database.connect().await;
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

/// The queues of a stack, from outside.
struct Queue {
    namespace: String,
    channel: Channel,
    /// A webhook as the ingress publishes it, of which all others are made.
    sample: BasicProperties,
    _connection: Connection,
}

impl Queue {
    async fn open(stack: &Stack) -> Self {
        let connection = Connection::connect(&amqp_url(), ConnectionProperties::default())
            .await
            .unwrap();
        let channel = connection.create_channel().await.unwrap();
        let namespace = stack.namespace.name().to_owned();
        let mut ingress = stack.start("risiti-ingress").await;
        let webhooks = ingress.webhooks().await;
        assert_eq!(stack.post(webhooks, "stk", &stk(0, "1160.00")).await.0, 200);
        let queue = format!("{namespace}.payments");
        // By way of the spool, where the ingress had not met the broker yet.
        let got = eventually("the webhook in its queue", BOUND, async || {
            let options = BasicGetOptions { no_ack: false };
            channel
                .basic_get(queue.as_str().into(), options)
                .await
                .unwrap()
        })
        .await;
        ingress.ends_well().await;
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

    /// The `n`th payment: the sample with another event, checkout and receipt.
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
