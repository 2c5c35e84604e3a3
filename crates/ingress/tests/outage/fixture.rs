//! Servers that may be frozen and killed, ingress processes behind links to them, and the webhooks
//! that they acknowledged.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use risiti_ledger::{DatabaseSettings, Ledger, NewAccount};
use risiti_testkit::{Link, PrivateServers, Process, Program, Server, eventually, http_status};
use secrecy::ExposeSecret;
use tempfile::TempDir;

const CREDENTIALS_KEY: &str = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";
/// Longest time to an answer (protocol A5).
const ANSWER_MAX: Duration = Duration::from_secs(3);
/// Longest wait for anything that the test expects. A frozen broker is noticed by its heartbeat,
/// and a boot on a busy machine takes long.
const DEADLINE: Duration = Duration::from_secs(90);
const POSTS_AT_ONCE: usize = 6;

pub(crate) struct Fixture {
    pub(crate) servers: PrivateServers,
    links: BTreeMap<&'static str, Link>,
    stk_path: String,
    client: reqwest::Client,
    /// The receipts that were answered 200. These are all that were posted.
    acknowledged: Vec<String>,
}

pub(crate) struct Ingress {
    _process: Process,
    address: SocketAddr,
    ops: SocketAddr,
    data: TempDir,
}

impl Fixture {
    pub(crate) async fn start() -> Self {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();

        let servers =
            PrivateServers::start(&[Server::Postgres, Server::RabbitMq, Server::Redis]).await;
        let url = servers.postgres_url();
        risiti_ledger::migrate(&url.into()).await.unwrap();
        let settings = DatabaseSettings {
            url: url.into(),
            pool_size: 1,
            role: None,
            application_name: "test",
        };
        let ledger = Ledger::open(settings).unwrap();

        let (_, secret) = ledger
            .create_merchant("acme", "Acme Ltd", None)
            .await
            .unwrap();
        let daraja = NewAccount::Daraja {
            short_codes: vec!["600000".into()],
            allow_cidrs: vec![],
            enforce: false,
        };
        ledger.add_account("acme", &daraja, None).await.unwrap();

        let links = BTreeMap::from([
            ("DATABASE_URL", Link::to(url).await),
            ("AMQP_URL", Link::to(servers.amqp_url()).await),
            ("RISITI_REDIS_URL", Link::to(servers.redis_url()).await),
        ]);
        let client = reqwest::Client::builder()
            .timeout(DEADLINE)
            .build()
            .unwrap();
        let stk_path = format!("/webhooks/daraja/{}/stk", secret.expose_secret());
        Self {
            servers,
            links,
            stk_path,
            client,
            acknowledged: Vec::new(),
        }
    }

    /// The link from ingress to this server.
    pub(crate) fn link(&self, server: Server) -> &Link {
        &self.links[match server {
            Server::Postgres => "DATABASE_URL",
            Server::RabbitMq => "AMQP_URL",
            Server::Redis => "RISITI_REDIS_URL",
        }]
    }

    /// Starts an ingress and waits until it is ready and has a copy of the directory on disk.
    pub(crate) async fn ingress(&self) -> Ingress {
        let ingress = self.listening(tempfile::tempdir().unwrap()).await;
        self.wait_until_ready(&ingress).await;

        let copy = ingress.data.path().join("directory.json");
        eventually("the directory is on disk", DEADLINE, async || {
            copy.exists().then_some(())
        })
        .await;
        ingress
    }

    /// Starts another ingress with the first one's copy of the directory, and waits until it
    /// listens. It may not be ready yet.
    pub(crate) async fn ingress_like(&self, first: &Ingress) -> Ingress {
        let data = tempfile::tempdir().unwrap();
        let copy = "directory.json";
        std::fs::copy(first.data.path().join(copy), data.path().join(copy)).unwrap();
        self.listening(data).await
    }

    async fn listening(&self, data: TempDir) -> Ingress {
        let mut program = Program::built("risiti-ingress")
            .env("RISITI_CREDENTIALS_KEY", CREDENTIALS_KEY)
            .env("RISITI_LISTEN", "127.0.0.1:0")
            .env("RISITI_DATA_DIR", data.path().to_str().unwrap());
        for (name, link) in &self.links {
            program = program.env(name, link.url());
        }
        let mut process = program.start();
        let ops = process.address_after("ops listener on ").await;
        let address = process.address_after("webhooks listener on ").await;
        Ingress {
            _process: process,
            address,
            ops,
            data,
        }
    }

    /// Waits until ingress is ready, and can therefore publish.
    pub(crate) async fn wait_until_ready(&self, ingress: &Ingress) {
        eventually("ingress is ready", DEADLINE, async || {
            (http_status(ingress.ops, "/readyz").await? == 200).then_some(())
        })
        .await;
    }

    /// Posts several webhooks at once, and one after them. Each must be answered 200 in time. There
    /// is a spool, so a broker that is away is no reason for another answer.
    pub(crate) async fn post_burst(&mut self, ingress: &Ingress, fault: &str) {
        let first = self.acknowledged.len();
        let receipts: Vec<String> = (first..=first + POSTS_AT_ONCE)
            .map(|number| format!("UIS5{number:06}"))
            .collect();
        let (last, burst) = receipts.split_last().unwrap();

        let posts = burst.iter().map(|receipt| self.post(ingress, receipt));
        let mut answers = join_all(posts).await;
        answers.push(self.post(ingress, last).await);

        for (receipt, (status, took)) in receipts.into_iter().zip(answers) {
            assert!(
                took <= ANSWER_MAX,
                "with {fault}: answered {status} after {took:?}"
            );
            assert_eq!(status, 200, "with {fault}");
            self.acknowledged.push(receipt);
        }
    }

    async fn post(&self, ingress: &Ingress, receipt: &str) -> (u16, Duration) {
        let url = format!("http://{}{}", ingress.address, self.stk_path);
        let request = self
            .client
            .post(url)
            .header("content-type", "application/json")
            .body(stk_success(receipt));
        let sent = Instant::now();
        let status = request.send().await.unwrap().status().as_u16();
        (status, sent.elapsed())
    }

    /// Each webhook that was answered 200 becomes a payment, and none becomes two.
    pub(crate) async fn assert_each_is_one_payment(&self) {
        let _worker = Program::built("risiti-ledger-worker")
            .env("DATABASE_URL", self.servers.postgres_url())
            .env("AMQP_URL", self.servers.amqp_url())
            .start();
        let database = self.servers.connect().await;
        let query = "SELECT receipt FROM report_payments WHERE state = 'success'";

        eventually("each webhook is a payment", DEADLINE, async || {
            let rows = database.query(query, &[]).await.unwrap();
            let recorded: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
            let count =
                |receipt: &String| recorded.iter().filter(|found| *found == receipt).count();
            assert!(
                self.acknowledged.iter().all(|receipt| count(receipt) <= 1),
                "recorded twice"
            );
            self.acknowledged
                .iter()
                .all(|receipt| count(receipt) == 1)
                .then_some(())
        })
        .await;
    }
}

/// A success with this receipt, in the shape of Daraja.
fn stk_success(receipt: &str) -> String {
    format!(
        r#"{{"Body":{{"stkCallback":{{"MerchantRequestID":"29115-1","CheckoutRequestID":"ws_CO_{receipt}708374149","ResultCode":0,"ResultDesc":"ok","CallbackMetadata":{{"Item":[{{"Name":"Amount","Value":250.00}},{{"Name":"MpesaReceiptNumber","Value":"{receipt}"}},{{"Name":"TransactionDate","Value":20260928103022}},{{"Name":"PhoneNumber","Value":254708374149}}]}}}}}}}}"#
    )
}
