//! One merchant, one database, one namespace, and as many ingress processes as a story needs.

use std::net::SocketAddr;
use std::time::Duration;

use risiti_ledger::{DatabaseSettings, Ledger, NewAccount, Vault};
use risiti_queue::{Broker, Target, Topology};
use risiti_testkit::{Namespace, Process, Program, TestDatabase, eventually, http_status};
use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;

pub(crate) const KEY: &str = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";
pub(crate) const PAYSTACK_KEY: &str = "sk_test_0000000000000000000000000000000000000000";
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Stage {
    pub(crate) database: TestDatabase,
    pub(crate) namespace: Namespace,
    pub(crate) secret: String,
    pub(crate) ledger: Ledger,
    pub(crate) broker: Broker,
    pub(crate) client: reqwest::Client,
}

pub(crate) struct Ingress {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    pub(crate) ops: SocketAddr,
    pub(crate) data: tempfile::TempDir,
}

impl Stage {
    pub(crate) async fn set() -> Self {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let database = TestDatabase::create().await;
        risiti_ledger::migrate(&database.url().into())
            .await
            .unwrap();
        let ledger = Ledger::open(DatabaseSettings {
            url: database.url().into(),
            pool_size: 2,
            role: None,
            application_name: "test",
        })
        .unwrap();
        let vault = Vault::new(&KEY.into(), None).unwrap();
        let (_, secret) = ledger.create_merchant("acme", "Acme Ltd").await.unwrap();
        let daraja = NewAccount::Daraja {
            short_codes: vec!["600000".into()],
            allow_cidrs: vec![],
            enforce: false,
        };
        for account in [
            daraja,
            NewAccount::Paystack {
                key: PAYSTACK_KEY.into(),
            },
            NewAccount::Gumroad {
                seller_id: "kL0psVL2admJSYRNs-OCMg==".into(),
            },
        ] {
            ledger
                .add_account("acme", &account, Some(&vault))
                .await
                .unwrap();
        }
        let namespace = Namespace::unique();
        let topology = Topology::new(namespace.name()).unwrap();
        let amqp = risiti_testkit::amqp_url();
        let broker = Broker::start(&amqp, topology, "test", CancellationToken::new()).unwrap();
        broker.wait_up().await;
        let client = reqwest::Client::builder()
            .timeout(PATIENCE)
            .build()
            .unwrap();
        Self {
            database,
            namespace,
            secret: secret.expose_secret().to_owned(),
            ledger,
            broker,
            client,
        }
    }

    pub(crate) fn program(&self, data: &tempfile::TempDir) -> Program {
        Program::built("risiti-ingress")
            .env("DATABASE_URL", self.database.url())
            .env("AMQP_URL", risiti_testkit::amqp_url())
            .env("RISITI_NAMESPACE", self.namespace.name())
            .env("RISITI_CREDENTIALS_KEY", KEY)
            .env("RISITI_LISTEN", "127.0.0.1:0")
            .env("RISITI_OPS_LISTEN", "127.0.0.1:0")
            // So that ready means connected; what is told of the spool turns it on.
            .env("RISITI_SPOOL_LIMIT", "0")
            .env("RISITI_DATA_DIR", data.path().to_str().unwrap())
    }

    pub(crate) async fn ingress(&self) -> Ingress {
        self.ingress_with(|program| program).await
    }

    pub(crate) async fn ingress_with(&self, change: impl FnOnce(Program) -> Program) -> Ingress {
        let ingress = self.start(change).await;
        ingress.ready().await;
        ingress
    }

    /// Started, not yet ready.
    pub(crate) async fn start(&self, change: impl FnOnce(Program) -> Program) -> Ingress {
        let data = tempfile::tempdir().unwrap();
        let program = change(self.program(&data));
        let mut process = program.start();
        let ops = process.address_after("ops listener on ").await;
        let address = process.address_after("webhooks listener on ").await;
        Ingress {
            process,
            address,
            ops,
            data,
        }
    }

    pub(crate) async fn queued(&self) -> u64 {
        self.broker.depth(Target::Payments).await.unwrap()
    }

    pub(crate) fn stk(&self) -> String {
        format!("/webhooks/daraja/{}/stk", self.secret)
    }
}

impl Ingress {
    pub(crate) async fn ready(&self) {
        eventually("ingress is ready", PATIENCE, async || {
            (http_status(self.ops, "/readyz").await? == 200).then_some(())
        })
        .await;
    }

    pub(crate) async fn post(
        &self,
        stage: &Stage,
        path: &str,
        body: impl Into<Vec<u8>>,
    ) -> reqwest::Response {
        self.post_with(stage, path, body, &[("content-type", "application/json")])
            .await
    }

    pub(crate) async fn post_with(
        &self,
        stage: &Stage,
        path: &str,
        body: impl Into<Vec<u8>>,
        headers: &[(&str, &str)],
    ) -> reqwest::Response {
        let mut request = stage
            .client
            .post(format!("http://{}{path}", self.address))
            .body(body.into());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }
}

/// A success of the given receipt, shaped as Daraja shapes it.
pub(crate) fn stk_success(receipt: &str) -> String {
    format!(
        r#"{{"Body":{{"stkCallback":{{"MerchantRequestID":"29115-1","CheckoutRequestID":"ws_CO_{receipt}708374149","ResultCode":0,"ResultDesc":"ok","CallbackMetadata":{{"Item":[{{"Name":"Amount","Value":250.00}},{{"Name":"MpesaReceiptNumber","Value":"{receipt}"}},{{"Name":"TransactionDate","Value":20260928103022}},{{"Name":"PhoneNumber","Value":254708374149}}]}}}}}}}}"#
    )
}

pub(crate) async fn json_of(answer: reqwest::Response) -> serde_json::Value {
    serde_json::from_str(&answer.text().await.unwrap()).unwrap()
}
