//! One installation of Risiti: a database and a namespace of its own, and its programs.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use risiti_testkit::{Process, Program, TestDatabase, eventually, http_status};
use serde_json::Value;
use tempfile::TempDir;

use crate::ground::Ground;
use crate::load::Target;

/// Longest wait for a program to become ready.
const READY: Duration = Duration::from_secs(60);
/// 32 bytes in base64. The merchants of a benchmark have no secrets worth more.
const CREDENTIALS_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

pub(crate) struct Site<'a> {
    pub(crate) ground: &'a Ground,
    pub(crate) database: TestDatabase,
    namespace: String,
    data: TempDir,
}

/// A program of ours that runs and is ready.
pub(crate) struct Running {
    pub(crate) process: Process,
    pub(crate) ops: SocketAddr,
}

/// An ingress, and where a merchant's STK callbacks go.
pub(crate) struct Ingress {
    pub(crate) running: Running,
    pub(crate) target: Target,
}

pub(crate) struct Merchant {
    pub(crate) slug: String,
    secret: String,
}

impl<'a> Site<'a> {
    pub(crate) async fn new(ground: &'a Ground) -> anyhow::Result<Self> {
        let site = Self {
            ground,
            database: TestDatabase::create_on(ground.servers.postgres_url()).await,
            namespace: format!("bench-{}", ground.count()),
            data: tempfile::tempdir()?,
        };
        site.admin(&["migrate"]).await?;
        Ok(site)
    }

    /// The queue between ingress and ledger worker.
    pub(crate) fn payments_queue(&self) -> String {
        format!("{}.payments", self.namespace)
    }

    /// Makes a merchant that takes Daraja's webhooks.
    pub(crate) async fn merchant(&self, number: u32) -> anyhow::Result<Merchant> {
        let slug = format!("bench-{number}");
        let create = ["merchant", "create", "--slug", &slug, "--name", "Bench Ltd"];
        let created = self.admin(&create).await?;
        let secret = created["webhook_secret"].as_str();
        let secret = secret.context("a new merchant has a secret")?.to_owned();

        let short_code = format!("{}", 600_000 + number);
        let add = [
            "provider",
            "add",
            "--merchant",
            &slug,
            "--provider",
            "daraja",
        ];
        self.admin(&[&add[..], &["--shortcode", &short_code]].concat())
            .await?;
        Ok(Merchant { slug, secret })
    }

    /// Starts an ingress with further settings, and waits until it can take a merchant's webhooks.
    pub(crate) async fn ingress(
        &self,
        merchant: &Merchant,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Ingress> {
        let data = self
            .data
            .path()
            .join(format!("ingress-{}", self.ground.count()));
        let mut program = self
            .program("risiti-ingress")?
            .env("RISITI_LISTEN", "127.0.0.1:0")
            .env("RISITI_DATA_DIR", data.to_string_lossy());
        for (name, value) in settings {
            program = program.env(name, *value);
        }
        let mut process = program.start();
        let ops = process.address_after("ops listener on ").await;
        let address = process.address_after("webhooks listener on ").await;
        let running = ready(Running { process, ops }).await;
        let target = Target {
            address,
            path: format!("/webhooks/daraja/{}/stk", merchant.secret),
        };
        Ok(Ingress { running, target })
    }

    /// Runs a command of `risiti-admin` and returns its JSON object.
    pub(crate) async fn admin(&self, args: &[&str]) -> anyhow::Result<Value> {
        let program = self.program("risiti-admin")?;
        let output = program
            .args(args.iter().copied())
            .arg("--json")
            .output()
            .await;
        let what = args[..args.len().min(2)].join(" ");
        ensure!(
            output.status.success(),
            "risiti-admin {what} failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("risiti-admin {what} printed no JSON"))
    }

    pub(crate) fn program(&self, name: &str) -> anyhow::Result<Program> {
        let servers = &self.ground.servers;
        Ok(self
            .ground
            .program(name)?
            .env("DATABASE_URL", self.database.url())
            .env("AMQP_URL", servers.amqp_url())
            .env("RISITI_NAMESPACE", &self.namespace)
            .env("RISITI_CREDENTIALS_KEY", CREDENTIALS_KEY)
            .env("RISITI_OPERATOR", "bench"))
    }
}

async fn ready(running: Running) -> Running {
    let what = format!("{} is ready", running.process.name());
    eventually(&what, READY, async || {
        (http_status(running.ops, "/readyz").await? == 200).then_some(())
    })
    .await;
    running
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Asks it to end, and waits.
    pub(crate) async fn end(mut self) -> anyhow::Result<()> {
        self.process.terminate();
        let status = self.process.exit(Duration::from_secs(60)).await;
        if !status.success() {
            bail!("{} ended with {status}", self.process.name());
        }
        Ok(())
    }
}
