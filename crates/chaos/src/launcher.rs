//! How each program is started: on which ports, behind which links, with which settings.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use rand::Rng as _;
use risiti_testkit::{Link, Process};

use crate::servers::Servers;
use crate::target::{LinkEnds, Program, Server, Victim};

/// Limit of the second ingress's spool while the fault lasts. It takes webhooks of a few seconds.
const SMALL_SPOOL: &str = "96KiB";
pub(crate) const NAMESPACE: &str = "risiti-chaos";

pub(crate) struct Launcher {
    dir: PathBuf,
    /// The folder of the executables.
    executables: PathBuf,
    server_urls: BTreeMap<Server, String>,
    credentials_key: String,
    addresses: BTreeMap<Program, SocketAddr>,
    ops_addresses: BTreeMap<Program, SocketAddr>,
    links: BTreeMap<LinkEnds, Link>,
    /// Whether the second ingress starts with a spool that is soon full.
    pub(crate) small_spool: Cell<bool>,
}

impl Launcher {
    pub(crate) async fn new(dir: &Path, servers: &Servers) -> anyhow::Result<Self> {
        let executables = std::env::current_exe()?
            .parent()
            .context("the path of this program has no folder")?
            .to_owned();
        let server_urls = BTreeMap::from([
            (Server::Postgres, servers.database_url.clone()),
            (Server::Rabbitmq, servers.amqp_url.clone()),
            (Server::Redis, servers.redis_url.clone()),
        ]);

        let mut launcher = Self {
            dir: dir.to_owned(),
            executables,
            server_urls,
            credentials_key: credentials_key(),
            addresses: Program::ALL.map(|program| (program, free_address())).into(),
            ops_addresses: Program::ALL.map(|program| (program, free_address())).into(),
            links: BTreeMap::new(),
            small_spool: Cell::new(false),
        };

        for ends in LinkEnds::all() {
            let url = match ends.to {
                Victim::Server(server) => launcher.server_urls[&server].clone(),
                Victim::Program(simulator) => launcher.url(simulator),
            };
            launcher.links.insert(ends, Link::to(&url).await);
        }
        Ok(launcher)
    }

    /// The URL of a simulator or an ingress, past every link.
    pub(crate) fn url(&self, program: Program) -> String {
        format!("http://{}", self.addresses[&program])
    }

    pub(crate) fn address(&self, program: Program) -> SocketAddr {
        self.addresses[&program]
    }

    pub(crate) fn ops_address(&self, program: Program) -> SocketAddr {
        self.ops_addresses[&program]
    }

    pub(crate) fn link(&self, ends: LinkEnds) -> &Link {
        &self.links[&ends]
    }

    pub(crate) fn restore_links(&self) {
        self.links.values().for_each(Link::restore);
    }

    pub(crate) fn data_dir(&self, ingress: Program) -> PathBuf {
        self.dir.join(format!("{}-data", ingress.name()))
    }

    pub(crate) fn journal(&self, simulator: Program) -> PathBuf {
        self.dir.join(format!("{}.journal", simulator.name()))
    }

    /// Starts a program behind its links.
    ///
    /// # Panics
    /// Panics where the program was not built.
    pub(crate) fn start(&self, program: Program) -> Process {
        let executable = match program {
            Program::Ingress1 | Program::Ingress2 => "risiti-ingress",
            Program::LedgerWorker1 | Program::LedgerWorker2 => "risiti-ledger-worker",
            Program::EtimsWorker1 | Program::EtimsWorker2 => "risiti-etims-worker",
            Program::EtimsSim | Program::EtimsSimGateway => "etims-sim",
        };
        let log = self.dir.join("log").join(format!("{}.log", program.name()));

        let mut command = self.command(executable).log_to(&log);
        for server in program.servers() {
            let ends = LinkEnds {
                from: program,
                to: Victim::Server(*server),
            };
            command = command.env(variable(*server), self.links[&ends].url());
        }
        command = command.env(
            "RISITI_OPS_LISTEN",
            self.ops_addresses[&program].to_string(),
        );

        match program {
            Program::EtimsSim | Program::EtimsSimGateway => {
                self.configure_simulator(command, program).start()
            }
            Program::Ingress1 | Program::Ingress2 => {
                self.configure_ingress(command, program).start()
            }
            _ => command.start(),
        }
    }

    fn configure_simulator(
        &self,
        command: risiti_testkit::Program,
        simulator: Program,
    ) -> risiti_testkit::Program {
        let listen = self.addresses[&simulator].to_string();
        let dialect = if simulator == Program::EtimsSim {
            "legacy"
        } else {
            "gateway"
        };
        let journal = self.journal(simulator);

        command
            .args(["--listen", &listen])
            .args(["--dialect", dialect])
            .args(["--latency", "20ms"])
            .args(["--journal", &journal.to_string_lossy()])
    }

    fn configure_ingress(
        &self,
        mut command: risiti_testkit::Program,
        ingress: Program,
    ) -> risiti_testkit::Program {
        if ingress == Program::Ingress2 && self.small_spool.get() {
            command = command.env("RISITI_SPOOL_LIMIT", SMALL_SPOOL);
        }
        let data = self.data_dir(ingress).to_string_lossy().into_owned();
        command
            .env("RISITI_LISTEN", self.addresses[&ingress].to_string())
            .env("RISITI_DATA_DIR", data)
    }

    /// Runs a program that does one thing and ends. It connects past every link. Returns what it
    /// printed.
    pub(crate) async fn run(&self, executable: &str, args: &[&str]) -> anyhow::Result<String> {
        let mut command = self.command(executable).args(args.iter().copied());
        for (server, url) in &self.server_urls {
            command = command.env(variable(*server), url);
        }
        let output = command.output().await;

        let messages = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let subcommand = args.first().copied().unwrap_or_default();
        ensure!(
            output.status.success(),
            "{executable} {subcommand} failed: {messages}"
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned() + &messages)
    }

    pub(crate) fn executable(&self, name: &str) -> String {
        self.executables.join(name).to_string_lossy().into_owned()
    }

    /// A command line that is killed when this process ends, even when this process is killed.
    fn command(&self, executable: &str) -> risiti_testkit::Program {
        let path = self.executables.join(executable);
        assert!(
            path.is_file(),
            "{} does not exist: run cargo build --workspace --bins",
            path.display()
        );

        risiti_testkit::Program::at(Path::new("setpriv"))
            .args(["--pdeathsig", "KILL", "--"])
            .arg(path.to_string_lossy())
            .env("RISITI_NAMESPACE", NAMESPACE)
            .env("RISITI_CREDENTIALS_KEY", &self.credentials_key)
            .env("RISITI_OPERATOR", "chaos")
            // Pauses of minutes in production are seconds here.
            .env("RISITI_BREAKER_PAUSE", "1s")
            .env("RISITI_RETRY_MAX", "10s")
            .env("RISITI_ETIMS_TIMEOUT", "5s")
    }
}

fn variable(server: Server) -> &'static str {
    match server {
        Server::Postgres => "DATABASE_URL",
        Server::Rabbitmq => "AMQP_URL",
        Server::Redis => "RISITI_REDIS_URL",
    }
}

/// A random key in base64. 42 capitals, an `A` and the padding encode exactly 32 bytes.
fn credentials_key() -> String {
    let letters: String = (0..42)
        .map(|_| rand::rng().random_range(b'A'..=b'Z') as char)
        .collect();
    letters + "A="
}

/// Picks a port below the ephemeral range, so that no outgoing connection can take the port of a
/// program while it is down.
fn free_address() -> SocketAddr {
    loop {
        let address = SocketAddr::from(([127, 0, 0, 1], rand::rng().random_range(20_000..32_000)));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}
