//! Where it all happens: how each program is started, on which port, behind which links.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use rand::Rng as _;
use risiti_testkit::{Link, Process};

use crate::programme::{Program, Server, Victim, Wire};
use crate::servers::Servers;

/// Bytes of undrained webhooks that the second ingress may keep while the fault lasts: a few seconds of them.
const SMALL_SPOOL: &str = "96KiB";
pub(crate) const NAMESPACE: &str = "risiti-chaos";

/// The clone this program was built in.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub(crate) struct Recipes {
    dir: PathBuf,
    programs: PathBuf,
    urls: BTreeMap<Server, String>,
    credentials_key: String,
    ports: BTreeMap<Program, SocketAddr>,
    ops_ports: BTreeMap<Program, SocketAddr>,
    links: BTreeMap<Wire, Link>,
    /// The second ingress starts with a spool that is soon full.
    pub(crate) small_spool: Cell<bool>,
}

impl Recipes {
    pub(crate) async fn new(dir: &Path, servers: &Servers) -> anyhow::Result<Self> {
        let programs = std::env::current_exe()?
            .parent()
            .context("a program lies in a folder")?
            .to_owned();
        let urls = BTreeMap::from([
            (Server::Postgres, servers.database_url.clone()),
            (Server::Rabbitmq, servers.amqp_url.clone()),
            (Server::Redis, servers.redis_url.clone()),
        ]);
        let mut recipes = Self {
            dir: dir.to_owned(),
            programs,
            urls,
            credentials_key: credentials_key(),
            ports: Program::ALL.map(|program| (program, port())).into(),
            ops_ports: Program::ALL.map(|program| (program, port())).into(),
            links: BTreeMap::new(),
            small_spool: Cell::new(false),
        };
        for wire in Wire::all() {
            let url = match wire.to {
                Victim::Server(server) => recipes.urls[&server].clone(),
                Victim::Program(simulator) => recipes.address(simulator),
            };
            recipes.links.insert(wire, Link::to(&url).await);
        }
        Ok(recipes)
    }

    /// Of a simulator or an ingress, past every link.
    pub(crate) fn address(&self, program: Program) -> String {
        format!("http://{}", self.ports[&program])
    }

    pub(crate) fn ops(&self, program: Program) -> SocketAddr {
        self.ops_ports[&program]
    }

    pub(crate) fn port(&self, program: Program) -> SocketAddr {
        self.ports[&program]
    }

    pub(crate) fn link(&self, wire: Wire) -> &Link {
        &self.links[&wire]
    }

    pub(crate) fn restore_links(&self) {
        self.links.values().for_each(Link::restore);
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.dir.join("log")
    }

    pub(crate) fn data_dir(&self, ingress: Program) -> PathBuf {
        self.dir.join(format!("{}-data", ingress.name()))
    }

    /// # Panics
    /// Where the program was not built.
    pub(crate) fn start(&self, program: Program) -> Process {
        let through = |server| {
            self.links[&Wire {
                from: program,
                to: Victim::Server(server),
            }]
                .url()
        };
        let executable = match program {
            Program::Ingress1 | Program::Ingress2 => "risiti-ingress",
            Program::LedgerWorker1 | Program::LedgerWorker2 => "risiti-ledger-worker",
            Program::EtimsWorker1 | Program::EtimsWorker2 => "risiti-etims-worker",
            Program::EtimsSim | Program::EtimsSimGateway => "etims-sim",
        };
        let mut recipe = self
            .program(executable)
            .log_to(&self.logs().join(format!("{}.log", program.name())));
        for server in program.servers() {
            recipe = recipe.env(variable(*server), through(*server));
        }
        recipe = recipe.env("RISITI_OPS_LISTEN", self.ops_ports[&program].to_string());
        match program {
            Program::EtimsSim | Program::EtimsSimGateway => {
                let dialect = if program == Program::EtimsSim {
                    "legacy"
                } else {
                    "gateway"
                };
                let journal = self.dir.join(format!("{}.journal", program.name()));
                let listen = self.ports[&program].to_string();
                let journal = journal.to_string_lossy();
                recipe = recipe.args([
                    "--listen",
                    &listen,
                    "--dialect",
                    dialect,
                    "--latency",
                    "20ms",
                ]);
                recipe.args(["--journal", &journal]).start()
            }
            Program::Ingress1 | Program::Ingress2 => {
                if program == Program::Ingress2 && self.small_spool.get() {
                    recipe = recipe.env("RISITI_SPOOL_LIMIT", SMALL_SPOOL);
                }
                let data = self.data_dir(program).to_string_lossy().into_owned();
                recipe
                    .env("RISITI_LISTEN", self.ports[&program].to_string())
                    .env("RISITI_DATA_DIR", data)
                    .start()
            }
            _ => recipe.start(),
        }
    }

    /// A program that does one thing, past every link.
    pub(crate) async fn run(&self, executable: &str, args: &[&str]) -> anyhow::Result<String> {
        let mut program = self.program(executable).args(args.iter().copied());
        for (server, url) in &self.urls {
            program = program.env(variable(*server), url);
        }
        let output = program.output().await;
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let what = args.first().copied().unwrap_or_default();
        ensure!(
            output.status.success(),
            "{executable} {what} failed: {said}"
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned() + &said)
    }

    pub(crate) fn executable(&self, name: &str) -> String {
        self.programs.join(name).to_string_lossy().into_owned()
    }

    /// It ends with this process, also when this is killed.
    fn program(&self, executable: &str) -> risiti_testkit::Program {
        let path = self.programs.join(executable);
        assert!(
            path.is_file(),
            "{} is not there: run cargo build --workspace --bins",
            path.display()
        );
        risiti_testkit::Program::at(Path::new("setpriv"))
            .args(["--pdeathsig", "KILL", "--"])
            .arg(path.to_string_lossy())
            .env("RISITI_NAMESPACE", NAMESPACE)
            .env("RISITI_CREDENTIALS_KEY", &self.credentials_key)
            .env("RISITI_OPERATOR", "chaos")
            // Minutes of life in seconds of chaos.
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

/// 32 bytes of nothing but these characters are a key like any other.
fn credentials_key() -> String {
    let letters: String = (0..42)
        .map(|_| rand::rng().random_range(b'A'..=b'Z') as char)
        .collect();
    letters + "A="
}

/// Below the ephemeral range: while a program is down no outgoing connection may sit on its port.
fn port() -> SocketAddr {
    loop {
        let address = SocketAddr::from(([127, 0, 0, 1], rand::rng().random_range(20_000..32_000)));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}
