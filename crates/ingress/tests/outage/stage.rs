//! Ingress behind links to servers of its own, storms of webhooks, and what was answered to each.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use risiti_ledger::{DatabaseSettings, Ledger, NewAccount};
use risiti_testkit::{Link, PrivateServers, Process, Program, Server, eventually, http_status};
use secrecy::ExposeSecret;

const KEY: &str = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";
/// Protocol A5: the promise itself.
const ANSWER_MAX: Duration = Duration::from_secs(3);
/// A frozen broker is noticed by its heartbeat, and a boot on a busy machine takes long.
const PATIENCE: Duration = Duration::from_secs(90);
const AT_ONCE: usize = 6;

pub(crate) struct Stage {
    pub(crate) servers: PrivateServers,
    links: BTreeMap<&'static str, Link>,
    stk: String,
    client: reqwest::Client,
    /// Receipts that were answered 200: all that were posted.
    told: Vec<String>,
}

pub(crate) struct Ingress {
    _process: Process,
    address: SocketAddr,
    ops: SocketAddr,
    data: tempfile::TempDir,
}

impl Stage {
    pub(crate) async fn set() -> Self {
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
        let (_, secret) = ledger.create_merchant("acme", "Acme Ltd").await.unwrap();
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
            .timeout(PATIENCE)
            .build()
            .unwrap();
        let stk = format!("/webhooks/daraja/{}/stk", secret.expose_secret());
        Self {
            servers,
            links,
            stk,
            client,
            told: Vec::new(),
        }
    }

    pub(crate) fn link(&self, server: Server) -> &Link {
        &self.links[match server {
            Server::Postgres => "DATABASE_URL",
            Server::RabbitMq => "AMQP_URL",
            Server::Redis => "RISITI_REDIS_URL",
        }]
    }

    /// A first one, ready and with a copy of the directory on disk.
    pub(crate) async fn ingress(&self) -> Ingress {
        let ingress = self.start(tempfile::tempdir().unwrap()).await;
        self.ready(&ingress).await;
        let copy = ingress.data.path().join("directory.json");
        eventually("the directory is on disk", PATIENCE, async || {
            copy.exists().then_some(())
        })
        .await;
        ingress
    }

    /// Another one, with the directory's copy of the first; listening, and not waited for to be ready.
    pub(crate) async fn ingress_like(&self, first: &Ingress) -> Ingress {
        let data = tempfile::tempdir().unwrap();
        let copy = "directory.json";
        std::fs::copy(first.data.path().join(copy), data.path().join(copy)).unwrap();
        self.start(data).await
    }

    async fn start(&self, data: tempfile::TempDir) -> Ingress {
        let mut program = Program::built("risiti-ingress")
            .env("RISITI_CREDENTIALS_KEY", KEY)
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

    /// Ready again, publishing included.
    pub(crate) async fn ready(&self, ingress: &Ingress) {
        eventually("ingress is ready", PATIENCE, async || {
            (http_status(ingress.ops, "/readyz").await? == 200).then_some(())
        })
        .await;
    }

    /// Several webhooks at once, and one after them. The broker away is no reason for another answer than 200: there is a
    /// spool.
    pub(crate) async fn storm(&mut self, ingress: &Ingress, fault: &str) {
        let first = self.told.len();
        let receipts: Vec<String> = (first..=first + AT_ONCE)
            .map(|n| format!("UIS5{n:06}"))
            .collect();
        let (last, burst) = receipts.split_last().unwrap();
        let mut answers =
            futures_util::future::join_all(burst.iter().map(|receipt| self.post(ingress, receipt)))
                .await;
        answers.push(self.post(ingress, last).await);
        for (receipt, (status, took)) in receipts.into_iter().zip(answers) {
            assert!(
                took <= ANSWER_MAX,
                "with {fault}: answered {status} after {took:?}"
            );
            assert_eq!(status, 200, "with {fault}");
            self.told.push(receipt);
        }
    }

    async fn post(&self, ingress: &Ingress, receipt: &str) -> (u16, Duration) {
        let url = format!("http://{}{}", ingress.address, self.stk);
        let request = self
            .client
            .post(url)
            .header("content-type", "application/json")
            .body(stk_success(receipt));
        let sent = Instant::now();
        let status = request.send().await.unwrap().status().as_u16();
        (status, sent.elapsed())
    }

    /// Whatever was answered 200 becomes a payment, and nothing becomes two.
    pub(crate) async fn audit(&self) {
        let _worker = Program::built("risiti-ledger-worker")
            .env("DATABASE_URL", self.servers.postgres_url())
            .env("AMQP_URL", self.servers.amqp_url())
            .start();
        let books = self.servers.connect().await;
        eventually(
            "all that was acknowledged is in the books",
            PATIENCE,
            async || {
                let rows = books
                    .query(
                        "SELECT receipt FROM report_payments WHERE state = 'success'",
                        &[],
                    )
                    .await;
                let booked: Vec<String> = rows.unwrap().iter().map(|row| row.get(0)).collect();
                let once =
                    |receipt: &String| booked.iter().filter(|found| *found == receipt).count();
                assert!(
                    self.told.iter().all(|receipt| once(receipt) <= 1),
                    "booked twice"
                );
                self.told
                    .iter()
                    .all(|receipt| once(receipt) == 1)
                    .then_some(())
            },
        )
        .await;
    }
}

/// A success of the given receipt, shaped as Daraja shapes it.
fn stk_success(receipt: &str) -> String {
    format!(
        r#"{{"Body":{{"stkCallback":{{"MerchantRequestID":"29115-1","CheckoutRequestID":"ws_CO_{receipt}708374149","ResultCode":0,"ResultDesc":"ok","CallbackMetadata":{{"Item":[{{"Name":"Amount","Value":250.00}},{{"Name":"MpesaReceiptNumber","Value":"{receipt}"}},{{"Name":"TransactionDate","Value":20260928103022}},{{"Name":"PhoneNumber","Value":254708374149}}]}}}}}}}}"#
    )
}
