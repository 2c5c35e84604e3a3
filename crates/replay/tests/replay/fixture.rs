//! A database and a namespace with a merchant, a device and dead letters, and the program that
//! replays them.

use std::collections::BTreeMap;
use std::time::Duration;

use risiti_domain::{AuthenticatedBy, DeadCause, EventId, MerchantId, Provider};
use risiti_ledger::{DatabaseSettings, Ledger, MessageDeadLetter, migrate};
use risiti_providers::{Account, BodyFormat, Channel, Envelope, Unreadable};
use risiti_queue::{Broker, Message, Target};
use risiti_testkit::{Namespace, Program, TestDatabase, amqp_url, eventually};
use secrecy::SecretString;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::command_output::CommandOutput;

/// The longest wait for anything. Nothing takes as long in a test that passes.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(60);
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(10);
const EXIT_RUN_UNDER_WAY: i32 = 3;

pub(crate) struct Fixture {
    pub(crate) client: Client,
    pub(crate) broker: Broker,
    pub(crate) device: Uuid,
    pub(crate) merchant: Uuid,
    pub(crate) ledger: Ledger,
    pub(crate) namespace: Namespace,
    database: TestDatabase,
}

impl Fixture {
    /// Prepares a merchant and its device, without any dead letter.
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::create().await;
        let url = SecretString::from(database.url());
        migrate(&url).await.unwrap();
        let client = database.connect().await;
        let merchant = Uuid::now_v7();
        let device = Uuid::now_v7();
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
        let broker = Broker::connect(&amqp_url(), namespace.name(), "test").unwrap();
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

    /// Makes the program, without a terminal.
    pub(crate) fn program(&self, args: &[&str]) -> Program {
        let program = Program::built("risiti-replay")
            .args(args.iter().copied())
            .env("RISITI_OPERATOR", "jane");
        self.variables()
            .into_iter()
            .fold(program, |program, (name, value)| program.env(name, value))
    }

    /// Returns the variables that the program needs.
    pub(crate) fn variables(&self) -> [(&'static str, String); 3] {
        [
            ("DATABASE_URL", self.database.url().to_owned()),
            ("AMQP_URL", amqp_url()),
            ("RISITI_NAMESPACE", self.namespace.name().to_owned()),
        ]
    }

    /// Runs a command to its end.
    pub(crate) async fn replay(&self, args: &[&str]) -> CommandOutput {
        CommandOutput::from(self.program(args).output().await)
    }

    /// Runs `run` after another run was killed. The server frees its lock a moment later.
    pub(crate) async fn run_when_unlocked(&self) -> CommandOutput {
        eventually("the lock", WAIT_MAX, async || {
            let output = self.replay(&["run", "--yes", "--json"]).await;
            (output.code != EXIT_RUN_UNDER_WAY).then_some(output)
        })
        .await
    }

    /// Makes a sale that KRA refused, with its row and its message.
    pub(crate) async fn refused_sale(&self, code: &str) -> Uuid {
        let invoice = self.refused_sale_without_message(code).await;
        self.publish_dead_letter(invoice).await;
        invoice
    }

    /// Makes a refused sale whose message was lost.
    pub(crate) async fn refused_sale_without_message(&self, code: &str) -> Uuid {
        let invoice = self.sale("dead").await;
        let statement = "INSERT INTO dead_letters (id, cause, merchant_id, device_id, invoice_id, provider, code,
            message, amount, currency) VALUES ($1, 'refused', $2, $3, $1, 'daraja', $4, 'item not known', 116, 'KES')";
        self.client
            .execute(statement, &[&invoice, &self.merchant, &self.device, &code])
            .await
            .unwrap();
        invoice
    }

    /// Publishes a dead letter's message, which names no more than its row.
    pub(crate) async fn publish_dead_letter(&self, invoice: Uuid) {
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

    /// Makes a paid sale of 116 shillings. Its invoice passes through pending and submitting to
    /// `state`.
    pub(crate) async fn sale(&self, state: &str) -> Uuid {
        let invoice = Uuid::now_v7();
        let merchant = self.merchant;
        let device = self.device;
        let mut sql = format!(
            "INSERT INTO payments (id, merchant_id, provider, money_key, receipt, amount, currency, method, state,
                 authenticated_by, settled_at, moved_by)
             VALUES ('{invoice}', '{merchant}', 'daraja', '{invoice}', 'R', 116, 'KES', 'mobile_money', 'success',
                 'path', now(), 'test');
             INSERT INTO invoices (id, payment_id, merchant_id, device_id, kind, amount, moved_by)
             VALUES ('{invoice}', '{invoice}', '{merchant}', '{device}', 'sale', 116, 'test');"
        );
        if state != "pending" {
            let submit = "UPDATE invoices SET state = 'submitting', invoice_no = (SELECT next_invoice_no FROM lanes)";
            sql += &format!("{submit} WHERE id = '{invoice}';");
        }
        if state == "dead" {
            sql += &format!(
                "UPDATE invoices SET state = 'dead', invoice_no = NULL WHERE id = '{invoice}';"
            );
        }
        self.client.batch_execute(&sql).await.unwrap();
        invoice
    }

    /// Makes a webhook that could not be read, with row and message as the ledger worker leaves
    /// them.
    pub(crate) async fn unreadable_webhook(&self, body: &str) -> Uuid {
        let envelope = Envelope {
            event_id: EventId::from_uuid(Uuid::now_v7()),
            merchant_id: MerchantId::from_uuid(self.merchant),
            channel: Channel::DarajaStk,
            format: BodyFormat::Json,
            kind: None,
            delivery_key: None,
            authenticated_by: AuthenticatedBy::Path,
            credential: None,
            received_at: jiff::Timestamp::now(),
            traceparent: None,
            account: Account::default(),
            unreadable: Some(Unreadable {
                field: "body".to_owned(),
                problem: "not JSON".to_owned(),
            }),
        };
        let dead_letter = MessageDeadLetter {
            cause: DeadCause::Unreadable,
            merchant_id: Some(envelope.merchant_id),
            provider: Some(Provider::Daraja),
            event_id: Some(envelope.event_id),
            body: body.as_bytes().to_vec(),
            headers: envelope.to_headers(),
            message: "body: not JSON".to_owned(),
        };
        let mut headers = dead_letter.headers.clone();
        headers.insert(
            "risiti-dead-letter-id".to_owned(),
            dead_letter.id().to_string(),
        );
        let message = Message {
            id: dead_letter.id(),
            headers,
            body: dead_letter.body.clone().into(),
        };
        self.publish(Target::Dead, message).await;
        self.ledger
            .insert_message_dead_letter(&dead_letter)
            .await
            .unwrap();
        dead_letter.id()
    }

    pub(crate) async fn publish(&self, target: Target, message: Message) {
        self.broker
            .publisher()
            .publish(target, message, PUBLISH_TIMEOUT)
            .await
            .unwrap();
    }

    pub(crate) async fn execute(&self, text: &str) {
        self.client.batch_execute(text).await.unwrap();
    }

    pub(crate) async fn query_number(&self, query: &str) -> i64 {
        self.client.query_one(query, &[]).await.unwrap().get(0)
    }

    pub(crate) async fn query_text(&self, query: &str) -> String {
        self.client.query_one(query, &[]).await.unwrap().get(0)
    }

    pub(crate) async fn count_invoices(&self, state: &str) -> i64 {
        self.query_number(&format!(
            "SELECT count(*) FROM invoices WHERE state = '{state}'"
        ))
        .await
    }

    pub(crate) async fn count_actions(&self, command: &str) -> i64 {
        self.query_number(&format!(
            "SELECT count(*) FROM operator_actions WHERE command = '{command}'"
        ))
        .await
    }

    pub(crate) async fn halt_lane(&self) {
        let halt = "UPDATE lanes SET halted_at = now(), \
                    halt_reason = 'numbers out of step: lanes resolve', halt_remedy = 'lanes resolve'";
        self.execute(halt).await;
    }

    /// Returns the lane's next number, and whether it is halted, as in `2 false`.
    pub(crate) async fn lane(&self) -> String {
        self.query_text("SELECT next_invoice_no || ' ' || (halted_at IS NOT NULL) FROM lanes")
            .await
    }

    /// Waits until the queue holds so many messages. Those that a killed program held come back a
    /// moment later.
    pub(crate) async fn wait_for_depth(&self, target: Target, wanted: u64) {
        let what = format!("{wanted} messages in {}", target.as_str());
        eventually(&what, WAIT_MAX, async || {
            (self.broker.depth(target).await.ok()? == wanted).then_some(())
        })
        .await;
    }

    /// Takes one message from a queue.
    pub(crate) async fn take(&self, target: Target) -> Message {
        let delivery = eventually(target.as_str(), WAIT_MAX, async || {
            self.broker.get(target).await.ok()?
        })
        .await;
        let message = delivery.message.clone();
        delivery.ack().await.unwrap();
        message
    }
}
