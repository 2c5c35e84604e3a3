//! A simulator and a client for one test.

use etims_sim::{Config, Dialect, RunningSimulator, start};
use reqwest::{Client, ClientBuilder, RequestBuilder, Response};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep};

pub(crate) const PIN: &str = "P000000001A";
pub(crate) const KEY: &str = "0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123";

/// A file of `tests/fixtures`.
macro_rules! fixture {
    ($name:literal) => {
        serde_json::from_str::<serde_json::Value>(include_str!(concat!(
            "../fixtures/",
            $name,
            ".json"
        )))
        .unwrap()
    };
}
pub(crate) use fixture;

pub(crate) struct Sim {
    running: RunningSimulator,
    pub(crate) client: Client,
    dialect: Dialect,
    token: String,
}

/// One answer, read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) async fn read(response: Response) -> Self {
        let status = response.status().as_u16();
        let body = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or(Value::Null);
        Self { status, body }
    }

    /// `resultCd`, wherever it stands.
    pub(crate) fn code(&self) -> &str {
        let found = self
            .body
            .get("resultCd")
            .or_else(|| self.body.pointer("/responseBody/resultCd"));
        found.and_then(Value::as_str).unwrap_or_default()
    }

    /// The text of a refusal.
    pub(crate) fn text(&self) -> &str {
        let found = self
            .body
            .get("resultMsg")
            .or_else(|| self.body.pointer("/responseHeader/debugMessage"));
        found.and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn data(&self) -> &Value {
        self.body
            .get("data")
            .or_else(|| self.body.pointer("/responseBody/data"))
            .unwrap_or(&Value::Null)
    }
}

impl Sim {
    /// With one device ready, branch 00.
    pub(crate) async fn of(dialect: Dialect) -> Self {
        Self::with(Config::local(dialect)).await
    }

    pub(crate) async fn with(config: Config) -> Self {
        let sim = Self::empty(config).await;
        sim.register("00").await;
        sim.with_token().await
    }

    pub(crate) async fn empty(config: Config) -> Self {
        let dialect = config.dialect;
        Self {
            running: start(config).await.unwrap(),
            client: client(),
            dialect,
            token: String::new(),
        }
    }

    pub(crate) async fn with_token(mut self) -> Self {
        if self.dialect == Dialect::Gateway {
            self.token = self.fetch_token().await;
        }
        self
    }

    pub(crate) async fn fetch_token(&self) -> String {
        let url = self.url("/v1/token/generate?grant_type=client_credentials");
        let answer = Answer::read(
            self.client
                .get(url)
                .basic_auth("app", Some("secret"))
                .send()
                .await
                .unwrap(),
        )
        .await;
        answer.body["access_token"].as_str().unwrap().to_owned()
    }

    /// At once, as when a machine dies.
    pub(crate) async fn stop(self) {
        self.running.stop().await.unwrap();
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.running.url())
    }

    pub(crate) async fn register(&self, branch: &str) -> Value {
        let device = json!({"tin": PIN, "bhfId": branch, "dvcSrlNo": format!("RISITI/{branch}"), "cmcKey": KEY,
                            "consumer_key": "app", "consumer_secret": "secret", "app_id": "app-id"});
        let answer = self.control("/_sim/devices", &device).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.body
    }

    pub(crate) async fn control(&self, path: &str, body: &Value) -> Answer {
        Answer::read(
            self.client
                .post(self.url(path))
                .body(body.to_string())
                .send()
                .await
                .unwrap(),
        )
        .await
    }

    pub(crate) async fn fault(&self, rule: Value) -> u64 {
        let answer = self.control("/_sim/faults", &rule).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.body["id"].as_u64().unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        Answer::read(self.client.get(self.url(path)).send().await.unwrap())
            .await
            .body
    }

    pub(crate) async fn stats(&self) -> Value {
        self.get("/_sim/stats").await
    }

    pub(crate) async fn accepted(&self) -> Vec<Value> {
        self.get("/_sim/sales").await["sales"]
            .as_array()
            .unwrap()
            .clone()
    }

    pub(crate) async fn delete(&self, path: &str) {
        let response = self.client.delete(self.url(path)).send().await.unwrap();
        assert_eq!(response.status(), 204, "{path}");
    }

    /// A call of KRA's API as a well-behaved client makes it.
    pub(crate) fn call(&self, path: &str, body: &Value) -> RequestBuilder {
        let branch = body["bhfId"].as_str().unwrap_or("00").to_owned();
        let request = self
            .client
            .post(self.url(path))
            .header("Content-Type", "application/json");
        let request = match self.dialect {
            Dialect::Vscu => request,
            _ => request
                .header("tin", PIN)
                .header("bhfId", branch)
                .header("cmcKey", KEY),
        };
        let request = match self.dialect {
            Dialect::Gateway => request
                .bearer_auth(&self.token)
                .header("apigee_app_id", "app-id"),
            _ => request,
        };
        request.body(body.to_string())
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::read(self.call(path, body).send().await.unwrap()).await
    }

    pub(crate) fn sale_path(&self) -> &'static str {
        match self.dialect {
            Dialect::Legacy => "/etims-api/saveTrnsSalesOsdc",
            Dialect::Gateway => "/etims-oscu/api/v1/sendSalesTransaction",
            Dialect::Vscu => "/trnsSales/saveSales",
        }
    }

    pub(crate) async fn sell(&self, sale: &Value) -> Answer {
        self.post(self.sale_path(), sale).await
    }

    /// Sends a sale whose answer is expected to get lost.
    pub(crate) async fn sell_in_vain(&self, sale: &Value) -> reqwest::Error {
        self.call(self.sale_path(), sale)
            .send()
            .await
            .expect_err("the connection is cut")
    }

    pub(crate) async fn look_up(&self, number: i64) -> Answer {
        let body = json!({"tin": PIN, "bhfId": "00", "invcNo": number});
        self.post("/selectInvoiceDetails", &body).await
    }
}

/// One that gives up long after any test should have.
pub(crate) fn client() -> Client {
    client_builder().build().unwrap()
}

pub(crate) fn client_builder() -> ClientBuilder {
    // Another test of this process may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().timeout(Duration::from_secs(60))
}

/// Fixture 02 under another number and remark.
pub(crate) fn sale(number: i64) -> Value {
    let remark = format!("invoice-{number}");
    changed(
        fixture!("02_sales_request_mpesa_1160"),
        &[("/invcNo", json!(number)), ("/remark", json!(remark))],
    )
}

/// `document` with the values at these JSON pointers replaced.
pub(crate) fn changed(mut document: Value, changes: &[(&str, Value)]) -> Value {
    for (pointer, value) in changes {
        *document
            .pointer_mut(pointer)
            .unwrap_or_else(|| panic!("no {pointer}")) = value.clone();
    }
    document
}

/// The keys at every level, values left out: two documents of one shape are equal.
pub(crate) fn shape(document: &Value) -> Value {
    match document {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), shape(value)))
            .collect(),
        Value::Array(values) => values.iter().map(shape).collect(),
        Value::String(_) => json!("text"),
        Value::Number(_) => json!(0),
        other => other.clone(),
    }
}

/// Waits for a condition, ten seconds at most.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition().await {
        assert!(Instant::now() < deadline, "{what} did not happen");
        sleep(Duration::from_millis(10)).await;
    }
}
