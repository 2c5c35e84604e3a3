//! A pile of dead letters of one's own, and the program that goes over it.

use std::collections::BTreeMap;
use std::process::Output;
use std::time::Duration;

use risiti_domain::{AuthenticatedBy, DeadCause, EventId, MerchantId, Provider};
use risiti_ledger::{DatabaseSettings, Ledger, MessageDeadLetter, migrate};
use risiti_providers::{Account, BodyFormat, Channel, Envelope, Unreadable};
use risiti_queue::{Broker, Message, Target, Topology};
use risiti_testkit::{Namespace, Program, TestDatabase, amqp_url, eventually};
use secrecy::SecretString;
use serde_json::Value;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(crate) const BOUND: Duration = Duration::from_secs(60);
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) struct Stage {
    pub(crate) client: Client,
    pub(crate) broker: Broker,
    pub(crate) device: Uuid,
    pub(crate) merchant: Uuid,
    pub(crate) ledger: Ledger,
    pub(crate) namespace: Namespace,
    database: TestDatabase,
}

impl Stage {
    /// A merchant, its device, and nothing dead.
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::create().await;
        let url = SecretString::from(database.url());
        migrate(&url).await.unwrap();
        let client = database.connect().await;
        let (merchant, device) = (Uuid::now_v7(), Uuid::now_v7());
        client
            .batch_execute(&format!(
                "INSERT INTO merchants (id, slug, name) VALUES ('{merchant}', 'acme', 'Acme');
                 INSERT INTO devices (id, merchant_id, environment, dialect, base_url, pin, branch, serial, item_code,
                     item_class, item_name, tax_type, is_default)
                 VALUES ('{device}', '{merchant}', 'sandbox', 'legacy', 'http://127.0.0.1:1', 'P051234567X', '00',
                     'SN1', 'I', 'C', 'Services', 'B', true);
                 INSERT INTO lanes (device_id, host) VALUES ('{device}', 'http://127.0.0.1:1');"
            ))
            .await
            .unwrap();
        let settings = DatabaseSettings {
            url,
            pool_size: 2,
            role: None,
            application_name: "test",
        };
        let ledger = Ledger::open(settings).unwrap();
        let namespace = Namespace::unique();
        let topology = Topology::new(namespace.name()).unwrap();
        let broker =
            Broker::start(&amqp_url(), topology, "test", CancellationToken::new()).unwrap();
        broker.wait_up().await;
        Self {
            client,
            broker,
            device,
            merchant,
            ledger,
            namespace,
            database,
        }
    }

    /// The program, with nobody at a terminal.
    pub(crate) fn program(&self, args: &[&str]) -> Program {
        let program = Program::built("risiti-replay")
            .args(args.iter().copied())
            .env("RISITI_OPERATOR", "jane");
        self.variables()
            .into_iter()
            .fold(program, |program, (name, value)| program.env(name, value))
    }

    /// What the program needs to be told by variables.
    pub(crate) fn variables(&self) -> [(&'static str, String); 3] {
        [
            ("DATABASE_URL", self.database.url().to_owned()),
            ("AMQP_URL", amqp_url()),
            ("RISITI_NAMESPACE", self.namespace.name().to_owned()),
        ]
    }

    pub(crate) async fn replay(&self, args: &[&str]) -> Told {
        Told::from(self.program(args).output().await)
    }

    /// A run after another one's end, which the server notices a moment later.
    pub(crate) async fn run_once_free(&self) -> Told {
        eventually("the lock", BOUND, async || {
            Some(self.replay(&["run", "--yes", "--json"]).await).filter(|told| told.code != 3)
        })
        .await
    }

    /// A sale that KRA refused: row and message.
    pub(crate) async fn refused(&self, code: &str) -> Uuid {
        let invoice = self.refused_row(code).await;
        self.dead_message(invoice).await;
        invoice
    }

    /// A refused sale whose message was lost.
    pub(crate) async fn refused_row(&self, code: &str) -> Uuid {
        let invoice = self.sale("dead").await;
        let statement = "INSERT INTO dead_letters (id, cause, merchant_id, device_id, invoice_id, provider, code,
            message, amount, currency) VALUES ($1, 'refused', $2, $3, $1, 'daraja', $4, 'item not known', 116, 'KES')";
        self.client
            .execute(statement, &[&invoice, &self.merchant, &self.device, &code])
            .await
            .unwrap();
        invoice
    }

    pub(crate) async fn dead_message(&self, invoice: Uuid) {
        let headers = BTreeMap::from([("risiti-dead-letter-id".to_owned(), invoice.to_string())]);
        self.publish(
            Target::Dead,
            Message {
                id: invoice,
                headers,
                body: b"{}".as_slice().into(),
            },
        )
        .await;
    }

    /// A paid sale of 116 shillings whose invoice went through pending and submitting to this state.
    pub(crate) async fn sale(&self, state: &str) -> Uuid {
        let invoice = Uuid::now_v7();
        let (merchant, device) = (self.merchant, self.device);
        let mut sql = format!(
            "INSERT INTO payments (id, merchant_id, provider, money_key, receipt, amount, currency, method, state,
                 authenticated_by, settled_at, moved_by)
             VALUES ('{invoice}', '{merchant}', 'daraja', '{invoice}', 'R', 116, 'KES', 'mobile_money', 'success',
                 'path', now(), 'test');
             INSERT INTO invoices (id, payment_id, merchant_id, device_id, kind, amount, moved_by)
             VALUES ('{invoice}', '{invoice}', '{merchant}', '{device}', 'sale', 116, 'test');"
        );
        if state != "pending" {
            let out = "UPDATE invoices SET state = 'submitting', invoice_no = (SELECT next_invoice_no FROM lanes)";
            sql += &format!("{out} WHERE id = '{invoice}';");
        }
        if state == "dead" {
            sql += &format!(
                "UPDATE invoices SET state = 'dead', invoice_no = NULL WHERE id = '{invoice}';"
            );
        }
        self.client.batch_execute(&sql).await.unwrap();
        invoice
    }

    /// A body that could not be read when it came: row and message, as the ledger worker leaves them.
    pub(crate) async fn unreadable(&self, body: &str) -> Uuid {
        let envelope = Envelope {
            event_id: EventId::from_uuid(Uuid::now_v7()),
            merchant_id: MerchantId::from_uuid(self.merchant),
            channel: Channel::DarajaStk,
            format: BodyFormat::Json,
            kind: None,
            delivery_key: None,
            authenticated_by: AuthenticatedBy::Path,
            received_at: jiff::Timestamp::now(),
            traceparent: None,
            account: Account::default(),
            unreadable: Some(Unreadable {
                field: "body".to_owned(),
                problem: "not JSON".to_owned(),
            }),
        };
        let letter = MessageDeadLetter {
            cause: DeadCause::Unreadable,
            merchant_id: Some(envelope.merchant_id),
            provider: Some(Provider::Daraja),
            event_id: Some(envelope.event_id),
            body: body.as_bytes().to_vec(),
            headers: envelope.to_headers(),
            message: "body: not JSON".to_owned(),
        };
        let mut headers = letter.headers.clone();
        headers.insert("risiti-dead-letter-id".to_owned(), letter.id().to_string());
        let message = Message {
            id: letter.id(),
            headers,
            body: letter.body.clone().into(),
        };
        self.publish(Target::Dead, message).await;
        self.ledger
            .insert_message_dead_letter(&letter)
            .await
            .unwrap();
        letter.id()
    }

    pub(crate) async fn publish(&self, target: Target, message: Message) {
        self.broker
            .publisher()
            .publish(target, message, PUBLISH_TIMEOUT)
            .await
            .unwrap();
    }

    pub(crate) async fn sql(&self, text: &str) {
        self.client.batch_execute(text).await.unwrap();
    }

    pub(crate) async fn number(&self, query: &str) -> i64 {
        self.client.query_one(query, &[]).await.unwrap().get(0)
    }

    pub(crate) async fn text(&self, query: &str) -> String {
        self.client.query_one(query, &[]).await.unwrap().get(0)
    }

    pub(crate) async fn invoices(&self, state: &str) -> i64 {
        self.number(&format!(
            "SELECT count(*) FROM invoices WHERE state = '{state}'"
        ))
        .await
    }

    /// Waits for the queue to hold so many: what a killed program held comes back a moment later.
    pub(crate) async fn depth_becomes(&self, target: Target, wanted: u64) {
        let what = format!("{} of {wanted}", target.as_str());
        eventually(&what, BOUND, async || {
            (self.broker.depth(target).await.ok()? == wanted).then_some(())
        })
        .await;
    }

    /// Takes one message away.
    pub(crate) async fn take(&self, target: Target) -> Message {
        let delivery = eventually(target.as_str(), BOUND, async || {
            self.broker.get(target).await.ok()?
        })
        .await;
        let message = delivery.message.clone();
        delivery.ack().await.unwrap();
        message
    }
}

/// What the program said, and how it ended.
pub(crate) struct Told {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Told {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Told {
    #[track_caller]
    pub(crate) fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        self
    }

    pub(crate) fn lines(&self) -> Vec<Value> {
        self.out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// `[matched, done, skipped, failed]`; the one line a run prints.
    #[track_caller]
    pub(crate) fn tally(&self, done: &str) -> [u64; 4] {
        let lines = self.lines();
        assert_eq!(lines.len(), 1, "{}", self.out);
        ["matched", done, "skipped", "failed"].map(|key| lines[0][key].as_u64().unwrap())
    }
}
