//! A database, a namespace and a tax authority of one's own, and workers between them.

use std::time::Duration;

use risiti_ledger::{DatabaseSettings, Ledger, Place, Vault};
use risiti_testkit::{Namespace, Process, Program, TestDatabase, amqp_url, eventually};
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) const BOUND: Duration = Duration::from_secs(60);
/// 32 bytes of 7, in base64.
const KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

pub(crate) struct Stage {
    pub(crate) database: TestDatabase,
    pub(crate) namespace: Namespace,
    _sim: Process,
    sim_url: String,
    http: reqwest::Client,
    dialect: &'static str,
    merchant: Uuid,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with("legacy", &[]).await
    }

    pub(crate) async fn with(dialect: &'static str, sim_args: &[&str]) -> Self {
        risiti_service::tls::install_provider();
        let database = TestDatabase::create().await;
        risiti_ledger::migrate(&database.url().into())
            .await
            .unwrap();
        let mut sim = Program::built("etims-sim")
            .args(["--listen", "127.0.0.1:0", "--dialect", dialect])
            .args(sim_args.iter().copied())
            .start();
        let address = sim.address_after("listening on http://").await;
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(30))
            .build()
            .unwrap();
        let merchant = Uuid::now_v7();
        let stage = Self {
            database,
            namespace: Namespace::unique(),
            _sim: sim,
            sim_url: format!("http://{address}"),
            http,
            dialect,
            merchant,
        };
        stage
            .sql(&format!(
                "INSERT INTO merchants (id, slug, name) VALUES ('{merchant}', 'acme', 'Acme Ltd')"
            ))
            .await;
        stage
    }

    pub(crate) async fn sql(&self, text: &str) {
        self.database
            .connect()
            .await
            .batch_execute(text)
            .await
            .unwrap();
    }

    /// The one number a query gives.
    pub(crate) async fn count(&self, query: &str) -> i64 {
        self.database
            .connect()
            .await
            .query_one(query, &[])
            .await
            .unwrap()
            .get(0)
    }

    /// The one text a query gives, `""` for NULL or no row.
    pub(crate) async fn text(&self, query: &str) -> String {
        let row = self
            .database
            .connect()
            .await
            .query_opt(query, &[])
            .await
            .unwrap();
        row.and_then(|row| row.get::<_, Option<String>>(0))
            .unwrap_or_default()
    }

    /// A device at KRA and here, with its lane.
    pub(crate) async fn device(&self, number: usize) -> Device {
        self.devices(number..number + 1).await.remove(0)
    }

    pub(crate) async fn devices(&self, numbers: std::ops::Range<usize>) -> Vec<Device> {
        let vault = Vault::new(&KEY.into(), None).unwrap();
        let (mut devices, mut sql) = (Vec::new(), String::new());
        let host = &self.sim_url;
        for number in numbers {
            let device = Device {
                id: Uuid::now_v7(),
                pin: format!("P{number:09}A"),
            };
            let keys = json!({ "tin": device.pin, "bhfId": "00", "dvcSrlNo": "RISITI/1", "cmcKey": "cmc-key-1" });
            let registered: Value = self.post("/_sim/devices", &keys).await;
            let sealed = |column, secret: &str| {
                let sealed = vault
                    .seal(
                        Place {
                            column,
                            row: device.id,
                        },
                        &secret.into(),
                    )
                    .unwrap();
                format!(
                    "'\\x{}'",
                    sealed
                        .iter()
                        .map(|byte| format!("{byte:02x}"))
                        .collect::<String>()
                )
            };
            let text = |name: &str| registered[name].as_str().unwrap_or_default().to_owned();
            let (token, base) = match self.dialect {
                "gateway" => (
                    format!(
                        "'{host}/v1/token/generate?grant_type=client_credentials', '{}', '{}', {}",
                        text("app_id"),
                        text("consumer_key"),
                        sealed(
                            "devices.consumer_secret_ciphertext",
                            &text("consumer_secret")
                        )
                    ),
                    format!("{host}/etims-oscu/api/v1"),
                ),
                _ => ("NULL, NULL, NULL, NULL".to_owned(), host.clone()),
            };
            sql += &format!(
                "INSERT INTO devices (id, merchant_id, environment, dialect, base_url, token_url, app_id, consumer_key,
                     consumer_secret_ciphertext, pin, branch, serial, cmc_key_ciphertext, item_code, item_class,
                     item_name, tax_type)
                 VALUES ('{id}', '{merchant}', 'sandbox', '{dialect}', '{base}', {token}, '{pin}', '00', 'RISITI/1',
                     {cmc_key}, 'KE3NTNO0000001', '8111150100', 'Services', 'B');
                 INSERT INTO lanes (device_id, host) VALUES ('{id}', '{host}');",
                id = device.id,
                merchant = self.merchant,
                dialect = self.dialect,
                pin = device.pin,
                cmc_key = sealed("devices.cmc_key_ciphertext", "cmc-key-1"),
            );
            devices.push(device);
        }
        self.sql(&sql).await;
        devices
    }

    /// As many paid sales, owed through the device, of 116, 232, … shillings.
    pub(crate) async fn owe(&self, device: &Device, sales: usize) -> Vec<Uuid> {
        let (invoices, sql) = self.owed(device, sales);
        self.sql(&sql).await;
        invoices
    }

    pub(crate) async fn owe_all(&self, devices: &[Device], sales: usize) {
        let sql: String = devices
            .iter()
            .map(|device| self.owed(device, sales).1)
            .collect();
        self.sql(&sql).await;
    }

    fn owed(&self, device: &Device, sales: usize) -> (Vec<Uuid>, String) {
        let (mut invoices, mut sql) = (Vec::new(), String::new());
        for number in 1..=sales {
            let (payment, invoice) = (Uuid::now_v7(), Uuid::now_v7());
            let amount = 116 * number;
            sql += &format!(
                "INSERT INTO payments (id, merchant_id, provider, money_key, receipt, amount, currency, method,
                     authenticated_by, state, settled_at, occurred_at, moved_by)
                 VALUES ('{payment}', '{merchant}', 'daraja', '{payment}', 'R{short}', {amount}, 'KES', 'mobile_money',
                     'path', 'success', now(), now() - interval '1 minute', 'test');
                 INSERT INTO invoices (id, payment_id, merchant_id, device_id, kind, amount, moved_by)
                 VALUES ('{invoice}', '{payment}', '{merchant}', '{device}', 'sale', {amount}, 'test');",
                merchant = self.merchant,
                short = payment.simple(),
                device = device.id,
            );
            invoices.push(invoice);
        }
        (invoices, sql)
    }

    /// A credit note for part of a sale.
    pub(crate) async fn refund(&self, sale: Uuid, amount: u32) -> Uuid {
        let (event, reversal, note) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
        self.sql(&format!(
            "INSERT INTO events (id, merchant_id, provider, kind, delivery_key, facts_sha256, authenticated_by,
                 received_at, body)
             VALUES ('{event}', '{m}', 'daraja', 'reversal_result', '{event}', '\\x00', 'path', now(), '\\x00');
             INSERT INTO reversals (id, merchant_id, provider, reversal_key, of_money_key, amount, currency, state,
                 credited, payment_id, event_id, occurred_at)
             SELECT '{reversal}', '{m}', 'daraja', '{reversal}', p.money_key, {amount}, 'KES', 'applied', {amount}, p.id,
                 '{event}', now() FROM payments p JOIN invoices i ON i.payment_id = p.id WHERE i.id = '{sale}';
             INSERT INTO invoices (id, payment_id, merchant_id, device_id, kind, amount, sale_id, reversal_id, moved_by)
             SELECT '{note}', payment_id, merchant_id, device_id, 'credit_note', {amount}, id, '{reversal}', 'test'
             FROM invoices WHERE id = '{sale}'",
            m = self.merchant,
        ))
        .await;
        note
    }

    /// A worker that backs off for little, so that tests need not.
    pub(crate) fn worker(&self) -> Program {
        self.patient_worker()
            .env("RISITI_RETRY_FIRST", "50ms")
            .env("RISITI_RETRY_MAX", "400ms")
            .env("RISITI_BREAKER_PAUSE", "200ms")
            .env("RISITI_WAKE_INTERVAL", "100ms")
    }

    pub(crate) fn patient_worker(&self) -> Program {
        Program::built("risiti-etims-worker")
            .env("DATABASE_URL", self.database.url())
            .env("AMQP_URL", amqp_url())
            .env("RISITI_NAMESPACE", self.namespace.name())
            .env("RISITI_CREDENTIALS_KEY", KEY)
            .env("RISITI_ETIMS_TIMEOUT", "5s")
    }

    pub(crate) async fn fault(&self, matching: Value, fault: Value) -> u64 {
        self.post(
            "/_sim/faults",
            &json!({ "match": matching, "fault": fault }),
        )
        .await["id"]
            .as_u64()
            .unwrap()
    }

    pub(crate) async fn mend(&self) {
        let answer = self
            .http
            .delete(format!("{}/_sim/faults", self.sim_url))
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success());
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
        let request = self.http.post(format!("{}{path}", self.sim_url));
        let request = request
            .header("content-type", "application/json")
            .body(body.to_string());
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self
            .http
            .get(format!("{}{path}", self.sim_url))
            .send()
            .await
            .unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }

    pub(crate) async fn stats(&self) -> Value {
        self.get("/_sim/stats").await
    }

    pub(crate) async fn in_state(&self, state: &str) -> i64 {
        self.count(&format!(
            "SELECT count(*) FROM invoices WHERE state = '{state}'"
        ))
        .await
    }

    pub(crate) async fn state(&self, invoice: Uuid) -> String {
        self.text(&format!(
            "SELECT state FROM invoices WHERE id = '{invoice}'"
        ))
        .await
    }

    pub(crate) async fn until_state(&self, invoice: Uuid, state: &str) {
        let what = format!("{invoice} is {state}");
        eventually(&what, BOUND, async || {
            (self.state(invoice).await == state).then_some(())
        })
        .await;
    }

    pub(crate) async fn until_filed(&self, invoices: i64) {
        let what = format!("{invoices} invoices are filed");
        eventually(&what, BOUND, async || {
            (self.in_state("success").await == invoices).then_some(())
        })
        .await;
    }

    pub(crate) async fn halt_reason(&self, device: &Device) -> String {
        let query = format!(
            "SELECT halt_reason FROM lanes WHERE device_id = '{}'",
            device.id
        );
        eventually("the lane is halted", BOUND, async || {
            Some(self.text(&query).await).filter(|reason| !reason.is_empty())
        })
        .await
    }

    /// The laws (architecture §9): numbers 1..n without gaps, our receipts are theirs, nothing twice, nothing wrong.
    pub(crate) async fn books_balance(&self) {
        let stats = self.stats().await;
        assert_eq!(stats["doubled"], json!([]), "{stats:#}");
        assert_eq!(stats["protocol_errors"], 0, "{stats:#}");
        assert_eq!(stats["resends_without_look_up"], 0, "{stats:#}");
        let theirs = self.get("/_sim/sales").await;
        let theirs = theirs["sales"]
            .as_array()
            .unwrap_or_else(|| panic!("{theirs:#}"));
        let client = self.database.connect().await;
        let ours = client
            .query(
                "SELECT i.id, d.pin, i.invoice_no, i.receipt_no, i.receipt_signature FROM invoices i
                 JOIN devices d ON d.id = i.device_id WHERE i.state = 'success'",
                &[],
            )
            .await
            .unwrap();
        assert_eq!(ours.len(), theirs.len(), "{theirs:#?}");
        for row in &ours {
            let (id, pin): (Uuid, String) = (row.get(0), row.get(1));
            let their = theirs
                .iter()
                .find(|sale| sale["remark"] == id.to_string())
                .expect("a sale KRA has not");
            assert_eq!(their["tin"], pin);
            assert_eq!(their["invcNo"], row.get::<_, i64>(2));
            assert_eq!(their["curRcptNo"], row.get::<_, i64>(3).to_string());
            assert_eq!(their["rcptSign"], row.get::<_, String>(4));
        }
        let gaps = "SELECT count(*) FROM (SELECT l.next_invoice_no - 1 AS passed,
                        (SELECT count(*) FROM invoices i WHERE i.device_id = l.device_id AND i.state = 'success') AS filed,
                        (SELECT count(*) FROM foreign_invoice_numbers f WHERE f.device_id = l.device_id) AS foreign_ones
                    FROM lanes l) n WHERE passed <> filed + foreign_ones";
        assert_eq!(self.count(gaps).await, 0, "numbers passed that nobody owns");
    }

    pub(crate) fn sim_url(&self) -> &str {
        &self.sim_url
    }

    /// Proof of the key the workers are given.
    pub(crate) async fn plant_canary(&self) {
        let settings = DatabaseSettings {
            url: self.database.url().into(),
            pool_size: 1,
            role: None,
            application_name: "test",
        };
        let vault = Vault::new(&KEY.into(), None).unwrap();
        Ledger::open(settings)
            .unwrap()
            .plant_canary(&vault)
            .await
            .unwrap();
    }
}

pub(crate) struct Device {
    pub(crate) id: Uuid,
    pub(crate) pin: String,
}

/// SIGTERM, and exit 0 within the bound.
pub(crate) async fn end(mut worker: Process) {
    worker.terminate();
    let status = worker.exit(BOUND).await;
    assert!(status.success(), "{status}:\n{}", worker.log());
}
