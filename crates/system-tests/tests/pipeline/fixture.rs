//! All programs as processes with a simulator, known through their public interface alone.

use std::net::SocketAddr;
use std::time::Duration;

use risiti_testkit::{
    Namespace, PrivateServers, Process, Program, TestDatabase, eventually, http_status,
};
use serde_json::{Value, json};

pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
pub(crate) const CREDENTIALS_KEY: &str = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";

pub(crate) struct Fixture {
    pub(crate) database: TestDatabase,
    pub(crate) namespace: Namespace,
    amqp_url: String,
    redis_url: String,
    data: tempfile::TempDir,
    client: reqwest::Client,
    pub(crate) simulator: SocketAddr,
    _simulator: Process,
    pub(crate) secret: String,
}

pub(crate) struct RunningProgram {
    pub(crate) process: Process,
    ops: SocketAddr,
}

impl Fixture {
    /// Sets up a migrated database and one merchant, whose short code files through a device of the
    /// simulator.
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::create().await;
        Self::on(
            database,
            risiti_testkit::amqp_url(),
            risiti_testkit::redis_url(),
        )
        .await
    }

    /// Sets up the same on private servers.
    pub(crate) async fn on_private(servers: &PrivateServers) -> Self {
        let database = TestDatabase::create_on(servers.postgres_url()).await;
        Self::on(
            database,
            servers.amqp_url().to_owned(),
            servers.redis_url().to_owned(),
        )
        .await
    }

    async fn on(database: TestDatabase, amqp_url: String, redis_url: String) -> Self {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let mut sim = Program::built("etims-sim")
            .args(["--listen", "127.0.0.1:0", "--dialect", "legacy"])
            .start();
        let simulator = sim.address_after("listening on http://").await;
        let mut fixture = Self {
            database,
            namespace: Namespace::unique(),
            amqp_url,
            redis_url,
            data: tempfile::tempdir().unwrap(),
            client: reqwest::Client::builder()
                .timeout(DEADLINE)
                .build()
                .unwrap(),
            simulator,
            _simulator: sim,
            secret: String::new(),
        };
        fixture.admin(&["migrate"]).await;
        let merchant = fixture
            .admin(&[
                "merchant", "create", "--slug", "acme", "--name", "Acme Ltd", "--json",
            ])
            .await;
        merchant["webhook_secret"]
            .as_str()
            .unwrap()
            .clone_into(&mut fixture.secret);
        fixture
            .admin(&[
                "provider",
                "add",
                "--merchant",
                "acme",
                "--provider",
                "daraja",
                "--shortcode",
                "600000",
            ])
            .await;
        fixture.add_device().await;
        fixture
    }

    async fn add_device(&self) {
        let device = json!({"tin": "P051234567X", "bhfId": "00", "dvcSrlNo": "SN1", "cmcKey": "0123456789ABCDEF"});
        self.sim_post("/_sim/devices", &device).await;
        let key = self.data.path().join("cmc-key");
        std::fs::write(&key, "0123456789ABCDEF").unwrap();
        let base_url = format!("http://{}", self.simulator);
        let mut args = vec![
            "device",
            "add",
            "--merchant",
            "acme",
            "--environment",
            "sandbox",
            "--dialect",
            "legacy",
        ];
        args.extend([
            "--base-url",
            &base_url,
            "--pin",
            "P051234567X",
            "--branch",
            "00",
            "--serial",
            "SN1",
        ]);
        args.extend([
            "--cmc-key-file",
            key.to_str().unwrap(),
            "--sdc-id",
            "KRACU0400000001",
        ]);
        args.extend([
            "--item-code",
            "KE3NTXNO0000001",
            "--item-class",
            "8111150100",
            "--item-name",
            "Services",
        ]);
        args.extend(["--tax-type", "B", "--shortcode", "600000", "--default"]);
        self.admin(&args).await;
    }

    /// What it printed, as JSON where it is.
    pub(crate) async fn admin(&self, args: &[&str]) -> Value {
        let output = self
            .program("risiti-admin")
            .args(args.iter().copied())
            .output()
            .await;
        assert!(
            output.status.success(),
            "risiti-admin {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    pub(crate) fn program(&self, name: &str) -> Program {
        Program::built(name)
            .env("DATABASE_URL", self.database.url())
            .env("AMQP_URL", &self.amqp_url)
            .env("RISITI_REDIS_URL", &self.redis_url)
            .env("RISITI_NAMESPACE", self.namespace.name())
            .env("RISITI_CREDENTIALS_KEY", CREDENTIALS_KEY)
            .env("RISITI_LISTEN", "127.0.0.1:0")
            .env("RISITI_OPS_LISTEN", "127.0.0.1:0")
            .env("RISITI_DATA_DIR", self.data.path().to_str().unwrap())
            .env("RISITI_BREAKER_PAUSE", "500ms")
            .env("RISITI_RETRY_MAX", "2s")
            .env("RISITI_ETIMS_TIMEOUT", "5s")
    }

    pub(crate) async fn start(&self, name: &str) -> RunningProgram {
        self.start_with(name, &[]).await
    }

    /// Runs a command and returns its status and all it printed.
    pub(crate) async fn output_of(
        &self,
        name: &str,
        args: &[&str],
        env: &[(&str, &str)],
    ) -> String {
        let program = env
            .iter()
            .fold(self.program(name), |program, (name, value)| {
                program.env(name, *value)
            });
        let output = program.args(args.iter().copied()).output().await;
        let printed = [output.stdout, output.stderr].concat();
        format!("{}\n{}", output.status, String::from_utf8_lossy(&printed))
    }

    pub(crate) async fn start_with(&self, name: &str, env: &[(&str, &str)]) -> RunningProgram {
        let program = env
            .iter()
            .fold(self.program(name), |program, (name, value)| {
                program.env(name, *value)
            });
        let mut process = program.start();
        let ops = process.address_after("ops listener on ").await;
        let running = RunningProgram { process, ops };
        running.wait_ready().await;
        running
    }

    /// Waits until `/readyz` answers 503 and names `what`.
    pub(crate) async fn wait_until_missing(&self, running: &RunningProgram, what: &str) {
        let url = format!("http://{}/readyz", running.ops);
        let name = format!("{what:?} in the readiness of {}", running.process.name());
        eventually(&name, DEADLINE, async || {
            let answer = self.client.get(&url).send().await.ok()?;
            (answer.status() == 503 && answer.text().await.ok()?.contains(what)).then_some(())
        })
        .await;
    }

    pub(crate) async fn post(&self, ingress: SocketAddr, route: &str, body: &str) -> (u16, String) {
        let url = format!("http://{ingress}/webhooks/daraja/{}/{route}", self.secret);
        let request = self
            .client
            .post(url)
            .header("content-type", "application/json")
            .body(body.to_owned());
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    pub(crate) async fn sim_post(&self, path: &str, body: &Value) {
        let request = self.client.post(format!("http://{}{path}", self.simulator));
        let answer = request
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await
            .unwrap();
        assert!(
            answer.status().is_success(),
            "{path}: {}",
            answer.text().await.unwrap()
        );
    }

    pub(crate) async fn sim_get(&self, path: &str) -> Value {
        let answer = self
            .client
            .get(format!("http://{}{path}", self.simulator))
            .send()
            .await
            .unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }

    /// Reads one number from the reporting views.
    pub(crate) async fn count(&self, question: &str) -> i64 {
        self.database
            .connect()
            .await
            .query_one(question, &[])
            .await
            .unwrap()
            .get(0)
    }

    pub(crate) async fn wait_for_count(&self, question: &str, expected: i64) {
        eventually(
            &format!("{question} gives {expected}"),
            DEADLINE,
            async || (self.count(question).await == expected).then_some(()),
        )
        .await;
    }
}

impl RunningProgram {
    pub(crate) async fn wait_ready(&self) {
        eventually(
            &format!("{} is ready", self.process.name()),
            DEADLINE,
            async || (http_status(self.ops, "/readyz").await? == 200).then_some(()),
        )
        .await;
    }

    pub(crate) async fn webhooks(&mut self) -> SocketAddr {
        self.process.address_after("webhooks listener on ").await
    }

    pub(crate) async fn metrics(&self) -> String {
        let client = reqwest::Client::builder()
            .timeout(DEADLINE)
            .build()
            .unwrap();
        let answer = client
            .get(format!("http://{}/metrics", self.ops))
            .send()
            .await
            .unwrap();
        answer.text().await.unwrap()
    }

    pub(crate) async fn terminate_cleanly(self) {
        self.process.terminate_cleanly(DEADLINE).await;
    }
}

pub(crate) fn stk(n: usize, amount: &str) -> String {
    format!(
        r#"{{"Body":{{"stkCallback":{{"MerchantRequestID":"29115-{n}","CheckoutRequestID":"ws_CO_{n:05}708374149","ResultCode":0,"ResultDesc":"ok","CallbackMetadata":{{"Item":[{{"Name":"Amount","Value":{amount}}},{{"Name":"MpesaReceiptNumber","Value":"UIS40{n:05}"}},{{"Name":"TransactionDate","Value":20260928103022}},{{"Name":"PhoneNumber","Value":254708374149}}]}}}}}}}}"#
    )
}

pub(crate) fn c2b(n: usize, amount: &str) -> String {
    format!(
        r#"{{"TransactionType":"Pay Bill","TransID":"UIS40{n:05}","TransTime":"20260928103023","TransAmount":"{amount}","BusinessShortCode":"600000","BillRefNumber":"INV-1","MSISDN":"2547 ***** 149","FirstName":"TEST"}}"#
    )
}
