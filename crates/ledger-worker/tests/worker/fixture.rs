//! A database with one merchant and one device, a namespace of the broker, and the worker between
//! them.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use risiti_domain::{AuthenticatedBy, CredentialId, EventId, MerchantId};
use risiti_ledger::migrate;
use risiti_providers::{Account, BodyFormat, Channel, Envelope};
use risiti_queue::{Broker, Message, Target};
use risiti_testkit::{
    Namespace, Process, Program, TestDatabase, amqp_url, eventually, http_status,
};
use secrecy::SecretString;
use tokio_postgres::Client;
use uuid::Uuid;

/// The longest wait for anything. Nothing takes as long in a test that passes.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(60);
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) struct Fixture {
    pub(crate) client: Client,
    pub(crate) broker: Broker,
    pub(crate) merchant: MerchantId,
    pub(crate) device: Uuid,
    pub(crate) namespace: Namespace,
    database: TestDatabase,
}

impl Fixture {
    /// Prepares a merchant with one device. No worker runs yet.
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::create().await;
        migrate(&SecretString::from(database.url())).await.unwrap();
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

        let namespace = Namespace::unique();
        let broker = Broker::connect(&amqp_url(), namespace.name(), "test").unwrap();
        broker.wait_up().await;
        Self {
            client,
            broker,
            merchant: MerchantId::from_uuid(merchant),
            device,
            namespace,
            database,
        }
    }

    pub(crate) fn worker(&self) -> Process {
        self.worker_with(self.database.url(), &[])
    }

    pub(crate) fn worker_with(&self, database_url: &str, args: &[&str]) -> Process {
        self.worker_between(database_url, &amqp_url(), args)
    }

    pub(crate) fn worker_between(
        &self,
        database_url: &str,
        amqp_url: &str,
        args: &[&str],
    ) -> Process {
        Program::built("risiti-ledger-worker")
            .args(args.iter().copied())
            .env("DATABASE_URL", database_url)
            .env("AMQP_URL", amqp_url)
            .env("RISITI_NAMESPACE", self.namespace.name())
            .start()
    }

    /// Waits until a worker says at `ops` that it is ready.
    pub(crate) async fn wait_ready(&self, ops: SocketAddr) {
        eventually("ready", WAIT_MAX, async || {
            (http_status(ops, "/readyz").await? == 200).then_some(())
        })
        .await;
    }

    pub(crate) fn database_url(&self) -> &str {
        self.database.url()
    }

    pub(crate) async fn publish(&self, target: Target, message: Message) {
        self.broker
            .publisher()
            .publish(target, message, PUBLISH_TIMEOUT)
            .await
            .unwrap();
    }

    /// Publishes a paid STK push for each number.
    pub(crate) async fn publish_paid(&self, numbers: Range<u32>) {
        for n in numbers {
            self.publish(Target::Payments, self.stk(&format!("UIS{n:07}")))
                .await;
        }
    }

    /// Makes the message that ingress would publish for a paid STK push.
    pub(crate) fn stk(&self, receipt: &str) -> Message {
        let body = format!(
            r#"{{"Body":{{"stkCallback":{{"MerchantRequestID":"1-2-3","CheckoutRequestID":"ws_CO_{receipt}","ResultCode":0,
            "ResultDesc":"ok","CallbackMetadata":{{"Item":[{{"Name":"Amount","Value":1500.10}},
            {{"Name":"MpesaReceiptNumber","Value":"{receipt}"}},{{"Name":"TransactionDate","Value":20260928101529}},
            {{"Name":"PhoneNumber","Value":254708374149}}]}}}}}}}}"#
        );
        self.message(self.merchant, body)
    }

    pub(crate) fn message(&self, merchant: MerchantId, body: impl Into<Bytes>) -> Message {
        Self::message_on(Channel::DarajaStk, merchant, body)
    }

    pub(crate) fn c2b_confirmation(&self, body: impl Into<Bytes>) -> Message {
        Self::message_on(Channel::DarajaC2bConfirmation, self.merchant, body)
    }

    /// Makes the message of a paid STK push that this credential let in.
    pub(crate) fn stk_let_in_by(&self, credential: CredentialId, receipt: &str) -> Message {
        let message = self.stk(receipt);
        let envelope = Envelope {
            credential: Some(credential),
            ..Envelope::from_headers(&message.headers).unwrap()
        };
        Message {
            headers: envelope.to_headers(),
            ..message
        }
    }

    /// Makes the message that ingress would publish for a body on a channel of Daraja.
    fn message_on(channel: Channel, merchant: MerchantId, body: impl Into<Bytes>) -> Message {
        let envelope = Envelope {
            event_id: EventId::from_uuid(Uuid::now_v7()),
            merchant_id: merchant,
            channel,
            format: BodyFormat::Json,
            kind: Some("stk".to_owned()),
            delivery_key: None,
            authenticated_by: AuthenticatedBy::Path,
            credential: None,
            received_at: Timestamp::now(),
            traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
            account: Account::default(),
            unreadable: None,
        };
        Message {
            id: envelope.event_id.uuid(),
            headers: envelope.to_headers(),
            body: body.into(),
        }
    }

    /// Makes the database read-only for every session but the fixture's own, which was open before.
    /// The worker's sessions are ended, and its new ones are read-only.
    pub(crate) async fn set_read_only(&self, on: bool) {
        let statement = format!(
            "ALTER DATABASE {} SET default_transaction_read_only = {on}",
            self.database.name()
        );
        self.client.batch_execute(&statement).await.unwrap();
        if on {
            let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND application_name = 'risiti-ledger-worker'";
            self.client.execute(end, &[]).await.unwrap();
        }
    }

    /// Makes the database refuse every new row and every change, as a server with a full disk does.
    /// Reads go on.
    pub(crate) async fn set_disk_full(&self, on: bool) {
        let statement = if on {
            "CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100';
             END $$;
             DO $$ DECLARE name text; BEGIN
                 FOR name IN SELECT c.relname FROM pg_class c WHERE c.relkind = 'r'
                     AND c.relnamespace = current_schema()::regnamespace LOOP
                     EXECUTE format('CREATE TRIGGER aa_disk_full BEFORE INSERT OR UPDATE ON %I
                         FOR EACH STATEMENT EXECUTE FUNCTION disk_full()', name);
                 END LOOP;
             END $$"
        } else {
            "DROP FUNCTION disk_full() CASCADE"
        };
        self.client.batch_execute(statement).await.unwrap();
    }

    pub(crate) async fn query_number(&self, statement: &str) -> i64 {
        self.client.query_one(statement, &[]).await.unwrap().get(0)
    }

    pub(crate) async fn wait_for_number(&self, statement: &str, wanted: i64) {
        eventually(statement, WAIT_MAX, async || {
            (self.query_number(statement).await == wanted).then_some(())
        })
        .await;
    }

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

/// Ends a worker by SIGTERM, and expects exit code 0. Returns its whole log.
pub(crate) async fn terminate_cleanly(worker: Process) -> String {
    worker.terminate_cleanly(WAIT_MAX).await
}
