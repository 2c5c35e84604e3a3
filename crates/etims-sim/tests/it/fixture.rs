//! A simulator with a client, for one test.

use std::time::Duration;

use etims_sim::{Config, Dialect, RunningSimulator, start};
use reqwest::{Client, ClientBuilder, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

pub(crate) const PIN: &str = "P000000001A";
pub(crate) const KEY: &str = "0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123";

/// Reads a file of `tests/fixtures`.
macro_rules! json_fixture {
    ($name:literal) => {
        serde_json::from_str::<serde_json::Value>(include_str!(concat!(
            "../fixtures/",
            $name,
            ".json"
        )))
        .unwrap()
    };
}
pub(crate) use json_fixture;

pub(crate) struct Sim {
    running: RunningSimulator,
    pub(crate) client: Client,
    dialect: Dialect,
    access_token: String,
}

/// An answer that was read to its end.
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

    /// `resultCd`, wherever the dialect puts it.
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

/// Sends a request and reads its answer.
pub(crate) async fn send(request: RequestBuilder) -> Answer {
    Answer::read(request.send().await.unwrap()).await
}

impl Sim {
    /// Starts a simulator with one device, of branch 00, that is ready to sell.
    pub(crate) async fn start(dialect: Dialect) -> Self {
        Self::start_with(Config::local(dialect)).await
    }

    pub(crate) async fn start_with(config: Config) -> Self {
        let sim = Self::without_device(config).await;
        sim.register("00").await;
        sim.with_access_token().await
    }

    pub(crate) async fn without_device(config: Config) -> Self {
        let dialect = config.dialect;
        Self {
            running: start(config).await.unwrap(),
            client: client(),
            dialect,
            access_token: String::new(),
        }
    }

    /// Fetches a new access token, which later calls carry. Only the gateway has them.
    pub(crate) async fn with_access_token(mut self) -> Self {
        if self.dialect == Dialect::Gateway {
            self.access_token = self.fetch_access_token().await;
        }
        self
    }

    pub(crate) async fn fetch_access_token(&self) -> String {
        let url = self.url("/v1/token/generate?grant_type=client_credentials");
        let answer = send(self.client.get(url).basic_auth("app", Some("secret"))).await;
        answer.body["access_token"].as_str().unwrap().to_owned()
    }

    /// Stops the simulator at once, as when a machine dies.
    pub(crate) async fn stop(self) {
        self.running.stop().await.unwrap();
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.running.url())
    }

    pub(crate) async fn register(&self, branch: &str) -> Value {
        let device = json!({
            "tin": PIN,
            "bhfId": branch,
            "dvcSrlNo": format!("RISITI/{branch}"),
            "cmcKey": KEY,
            "consumer_key": "app",
            "consumer_secret": "secret",
            "app_id": "app-id",
        });
        let answer = self.post_control("/_sim/devices", &device).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.body
    }

    pub(crate) async fn post_control(&self, path: &str, body: &Value) -> Answer {
        send(self.client.post(self.url(path)).body(body.to_string())).await
    }

    /// Adds a rule to the fault script and returns its id.
    pub(crate) async fn add_fault(&self, rule: Value) -> u64 {
        let answer = self.post_control("/_sim/faults", &rule).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.body["id"].as_u64().unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        send(self.client.get(self.url(path))).await.body
    }

    pub(crate) async fn stats(&self) -> Value {
        self.get("/_sim/stats").await
    }

    pub(crate) async fn accepted_sales(&self) -> Vec<Value> {
        self.get("/_sim/sales").await["sales"]
            .as_array()
            .unwrap()
            .clone()
    }

    pub(crate) async fn delete(&self, path: &str) {
        let response = self.client.delete(self.url(path)).send().await.unwrap();
        assert_eq!(response.status(), 204, "{path}");
    }

    /// A call of KRA's API as a correct client makes it.
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
                .bearer_auth(&self.access_token)
                .header("apigee_app_id", "app-id"),
            _ => request,
        };
        request.body(body.to_string())
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        send(self.call(path, body)).await
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

    /// Sends the document with changes that break a rule. The gateway must refuse it with a text
    /// that contains `text`.
    pub(crate) async fn expect_refusal(
        &self,
        document: &Value,
        changes: &[(&str, Value)],
        text: &str,
    ) {
        let answer = self.sell(&with_changes(document.clone(), changes)).await;
        assert_eq!(answer.status, 400, "{changes:?}: {answer:?}");
        assert_eq!(answer.body["responseBody"], Value::Null);
        assert!(
            answer.text().contains(text),
            "{changes:?}: {:?} lacks {text:?}",
            answer.text()
        );
    }

    /// Sends a sale whose answer must get lost.
    pub(crate) async fn sell_without_answer(&self, sale: &Value) -> reqwest::Error {
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

/// A client whose time-out is longer than any test takes.
pub(crate) fn client() -> Client {
    client_builder().build().unwrap()
}

pub(crate) fn client_builder() -> ClientBuilder {
    // This fails if another test of this process has installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().timeout(Duration::from_secs(60))
}

/// Fixture 02 under another number and remark.
pub(crate) fn sale(number: i64) -> Value {
    let remark = format!("invoice-{number}");
    with_changes(
        json_fixture!("02_sales_request_mpesa_1160"),
        &[("/invcNo", json!(number)), ("/remark", json!(remark))],
    )
}

/// `document` with the values at these JSON pointers replaced.
pub(crate) fn with_changes(mut document: Value, changes: &[(&str, Value)]) -> Value {
    for (pointer, value) in changes {
        *document
            .pointer_mut(pointer)
            .unwrap_or_else(|| panic!("no {pointer}")) = value.clone();
    }
    document
}

/// The keys at every level without their values. Two documents of one shape are equal.
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

/// Waits for a condition, at most ten seconds.
pub(crate) async fn wait_until<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition().await {
        assert!(Instant::now() < deadline, "{what} did not happen");
        sleep(Duration::from_millis(10)).await;
    }
}
