//! One installation of Risiti: a database and a namespace of its own, and its programs.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use risiti_testkit::{Program, TestDatabase, eventually, messages_in};
use serde_json::Value;
use tempfile::TempDir;

use crate::control;
use crate::ground::Ground;
use crate::load::Target;
use crate::programs::{Ingress, Running, free_address};

/// Longest wait for what takes a moment.
const MOMENT: Duration = Duration::from_secs(60);
/// Longest wait until a backlog is recorded.
const DRAINED: Duration = Duration::from_secs(3600);
/// Commands of `risiti-admin` that run at once.
const COMMANDS: usize = 4;
/// 32 bytes in base64. The merchants of a benchmark have no secrets worth more.
const CREDENTIALS_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

pub(crate) struct Site<'a> {
    pub(crate) ground: &'a Ground,
    pub(crate) database: TestDatabase,
    namespace: String,
    pub(crate) data: TempDir,
    merchants: Vec<Merchant>,
}

struct Merchant {
    number: u32,
    slug: String,
    webhook_secret: String,
}

impl<'a> Site<'a> {
    /// Makes an installation with so many merchants that take Daraja's webhooks.
    pub(crate) async fn new(ground: &'a Ground, merchants: u32) -> anyhow::Result<Self> {
        let mut site = Self {
            ground,
            database: TestDatabase::create_on(ground.servers.postgres_url()).await,
            namespace: format!("bench-{}", ground.count()),
            data: tempfile::tempdir_in(&ground.dir)?,
            merchants: Vec::new(),
        };
        site.admin(&["migrate"]).await?;
        site.merchants = stream::iter(0..merchants)
            .map(|number| site.add_merchant(number))
            .buffered(COMMANDS)
            .try_collect()
            .await?;
        Ok(site)
    }

    async fn add_merchant(&self, number: u32) -> anyhow::Result<Merchant> {
        let slug = format!("bench-{number}");
        let create = ["merchant", "create", "--slug", &slug, "--name", "Bench Ltd"];
        let created = self.admin(&create).await?;
        let secret = created["webhook_secret"].as_str();
        let webhook_secret = secret.context("a new merchant has a secret")?.to_owned();

        let add = [
            "provider",
            "add",
            "--merchant",
            &slug,
            "--provider",
            "daraja",
        ];
        self.admin(&[&add[..], &["--shortcode", &short_code(number)]].concat())
            .await?;
        Ok(Merchant {
            number,
            slug,
            webhook_secret,
        })
    }

    /// Gives each merchant a device at this host, registered there if `registered`.
    pub(crate) async fn add_devices(
        &self,
        host: SocketAddr,
        registered: bool,
    ) -> anyhow::Result<()> {
        let key_file = self.data.path().join("cmc-key");
        std::fs::write(&key_file, CMC_KEY)?;
        stream::iter(&self.merchants)
            .map(|merchant| self.add_device(merchant, host, registered))
            .buffered(COMMANDS)
            .try_collect()
            .await
    }

    async fn add_device(
        &self,
        merchant: &Merchant,
        host: SocketAddr,
        registered: bool,
    ) -> anyhow::Result<()> {
        let pin = format!("P051{:06}X", merchant.number);
        let serial = format!("BENCH/{pin}");
        if registered {
            let device = serde_json::json!({
                "tin": pin, "bhfId": "00", "dvcSrlNo": serial, "cmcKey": CMC_KEY,
            });
            control::request(host, "POST", "/_sim/devices", &device.to_string()).await?;
        }

        let base_url = format!("http://{host}");
        let key_file = self.data.path().join("cmc-key");
        let sdc_id = format!("KRACU04{:08}", merchant.number);
        let words = "device add --environment sandbox --dialect legacy --branch 00 \
                     --item-code KE3NTNO0000001 --item-class 8111150100 --item-name Services \
                     --tax-type B --default";
        let mut add: Vec<&str> = words.split_whitespace().collect();
        add.extend(["--merchant", &merchant.slug, "--base-url", &base_url]);
        add.extend(["--pin", &pin, "--serial", &serial, "--sdc-id", &sdc_id]);
        let code = short_code(merchant.number);
        let key_file = key_file.to_string_lossy();
        add.extend(["--cmc-key-file", &key_file, "--shortcode", &code]);
        self.admin(&add).await.map(drop)
    }

    /// Copies the database as it is. No program may be connected to it.
    pub(crate) async fn copy_database(&self) -> anyhow::Result<TestDatabase> {
        let copy = TestDatabase::create_on(self.ground.servers.postgres_url()).await;
        let client = self.ground.servers.connect().await;
        let (name, from) = (copy.name(), self.database.name());
        client
            .execute(&format!("DROP DATABASE {name}"), &[])
            .await?;
        // The last connection of a program that has ended may still be closing.
        let create = format!("CREATE DATABASE {name} TEMPLATE {from}");
        eventually("a copy of a database", MOMENT, async || {
            client.execute(&create, &[]).await.ok()
        })
        .await;
        Ok(copy)
    }

    /// The queue between ingress and ledger worker.
    pub(crate) fn payments_queue(&self) -> String {
        format!("{}.payments", self.namespace)
    }

    /// Lets ledger workers run until no message waits for them or is held by one.
    pub(crate) async fn record_everything(&self) -> anyhow::Result<()> {
        let (amqp_url, queue) = (self.ground.servers.amqp_url(), self.payments_queue());
        // A worker that ends gives back what it has not begun.
        while messages_in(amqp_url, &queue).await != Some(0) {
            let worker = self.ledger_worker().await?;
            eventually("the payments queue is empty", DRAINED, async || {
                (messages_in(amqp_url, &queue).await? == 0).then_some(())
            })
            .await;
            worker.end().await?;
        }
        Ok(())
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.data.path().join("ingress")
    }

    /// Starts an ingress with further settings.
    pub(crate) async fn ingress(&self, settings: &[(&str, &str)]) -> anyhow::Result<Ingress> {
        let address = free_address();
        let mut program = self
            .program("risiti-ingress")?
            .env("RISITI_LISTEN", address.to_string())
            .env("RISITI_DATA_DIR", self.data_dir().to_string_lossy());
        for (name, value) in settings {
            program = program.env(name, *value);
        }
        let running = Running::start(program).await;
        // An ingress with a spool is ready before it has a broker.
        if settings.iter().all(|(name, _)| *name != AMQP_URL) {
            self.await_queue().await;
        }
        let paths = self.merchants.iter().map(|merchant| {
            let secret = &merchant.webhook_secret;
            format!("/webhooks/daraja/{secret}/stk")
        });
        Ok(Ingress {
            running,
            target: Target::new(address, paths.collect()),
        })
    }

    /// Waits until a program has declared the queue, which it does when it has a broker.
    async fn await_queue(&self) {
        let (amqp_url, queue) = (self.ground.servers.amqp_url(), self.payments_queue());
        eventually("the payments queue exists", MOMENT, async || {
            messages_in(amqp_url, &queue).await
        })
        .await;
    }

    pub(crate) async fn ledger_worker(&self) -> anyhow::Result<Running> {
        Ok(Running::start(self.program("risiti-ledger-worker")?).await)
    }

    pub(crate) async fn etims_worker(&self) -> anyhow::Result<Running> {
        Ok(Running::start(self.program("risiti-etims-worker")?).await)
    }

    /// Runs a command of `risiti-admin` and returns its JSON object.
    pub(crate) async fn admin(&self, args: &[&str]) -> anyhow::Result<Value> {
        self.command("risiti-admin", args).await
    }

    /// Runs a command with `--json` and returns its object.
    pub(crate) async fn command(&self, program: &str, args: &[&str]) -> anyhow::Result<Value> {
        let what = format!("{program} {}", args[..args.len().min(2)].join(" "));
        let command = self.program(program)?;
        let output = command
            .args(args.iter().copied())
            .arg("--json")
            .output()
            .await;
        ensure!(
            output.status.success(),
            "{what} failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("{what} printed no JSON object"))
    }

    fn program(&self, name: &str) -> anyhow::Result<Program> {
        let servers = &self.ground.servers;
        Ok(self
            .ground
            .program(name)?
            .env("DATABASE_URL", self.database.url())
            .env(AMQP_URL, servers.amqp_url())
            .env("RISITI_NAMESPACE", &self.namespace)
            .env("RISITI_CREDENTIALS_KEY", CREDENTIALS_KEY)
            .env("RISITI_OPERATOR", "bench"))
    }
}

/// The setting that an ingress without a broker overrides.
pub(crate) const AMQP_URL: &str = "AMQP_URL";

/// The key of every device. The simulator takes any.
const CMC_KEY: &str = "0123456789ABCDEF0123456789ABCDEF01234567";

fn short_code(merchant: u32) -> String {
    format!("{}", 600_000 + merchant)
}
