//! What a run stands on: servers of its own, and a folder for its files.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context as _, ensure};
use risiti_testkit::{PrivateServers, Program, Server};

use crate::cpu;
use crate::load::Numbers;

pub(crate) struct Ground {
    pub(crate) servers: PrivateServers,
    pub(crate) dir: PathBuf,
    pub(crate) numbers: Numbers,
    pub(crate) full: bool,
    programs: PathBuf,
    counted: Cell<u32>,
    measurement: RefCell<String>,
}

impl Ground {
    pub(crate) async fn prepare(dir: &Path, full: bool) -> anyhow::Result<Self> {
        let programs = env::current_exe()?
            .parent()
            .context("a program lies in a folder")?
            .to_owned();
        let servers = [Server::Postgres, Server::RabbitMq, Server::Redis];
        Ok(Self {
            servers: PrivateServers::start(&servers).await,
            dir: dir.to_owned(),
            numbers: Numbers::new(),
            full,
            programs,
            counted: Cell::new(0),
            measurement: RefCell::default(),
        })
    }

    /// Names a program that was built beside this one. It ends with this process, even if this
    /// process is killed.
    pub(crate) fn program(&self, name: &str) -> anyhow::Result<Program> {
        let path = self.programs.join(name);
        ensure!(
            path.is_file(),
            "{} does not exist: run `make bench`, or cargo build --release --workspace --bins",
            path.display()
        );
        let program = Program::at(Path::new("setpriv"))
            .args(["--pdeathsig", "KILL", "--"])
            .arg(path.to_string_lossy());
        let log = format!("{name}-{}.log", self.count());
        Ok(program.log_to(&self.logs().join(log)))
    }

    /// The processes that count as this benchmark, each with all that it started.
    pub(crate) fn processes(&self) -> anyhow::Result<Vec<u32>> {
        let urls = [
            self.servers.postgres_url(),
            self.servers.amqp_url(),
            self.servers.redis_url(),
        ];
        let mut processes = vec![std::process::id()];
        for url in urls {
            processes.push(cpu::listener(port_of(url)?)?);
        }
        Ok(processes)
    }

    /// CPU seconds of the database, all of its processes together.
    pub(crate) fn postgres_seconds(&self) -> anyhow::Result<f64> {
        let postmaster = cpu::listener(port_of(self.servers.postgres_url())?)?;
        Ok(cpu::tree_seconds(&[postmaster]))
    }

    /// CPU seconds of the broker, all of its processes together.
    pub(crate) fn rabbitmq_seconds(&self) -> anyhow::Result<f64> {
        let broker = cpu::listener(port_of(self.servers.amqp_url())?)?;
        Ok(cpu::tree_seconds(&[broker]))
    }

    /// Names the measurement whose logs come next.
    pub(crate) fn begin(&self, measurement: &str) {
        *self.measurement.borrow_mut() = measurement.to_owned();
    }

    /// Where the logs of the measurement go.
    pub(crate) fn logs(&self) -> PathBuf {
        self.dir.join("log").join(&*self.measurement.borrow())
    }

    /// A number that this run has not used in a name yet.
    pub(crate) fn count(&self) -> u32 {
        self.counted.set(self.counted.get() + 1);
        self.counted.get()
    }
}

/// Reads the port from a URL such as `amqp://user:password@127.0.0.1:5672/%2f`.
fn port_of(url: &str) -> anyhow::Result<u16> {
    let (_, authority) = url.rsplit_once('@').context("a server's URL has a user")?;
    let (address, _) = authority.split_once('/').unwrap_or((authority, ""));
    let (_, port) = address
        .rsplit_once(':')
        .context("a server's URL has a port")?;
    port.parse().context("a port is a number")
}

/// Makes an empty folder for the files of a run.
pub(crate) fn empty_folder(dir: &Path) -> anyhow::Result<PathBuf> {
    let _ = fs::remove_dir_all(dir);
    fs::create_dir_all(dir).with_context(|| format!("failed to make {}", dir.display()))?;
    // Programs get absolute paths.
    Ok(dir.canonicalize()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_is_read_from_a_url() {
        assert_eq!(port_of("amqp://u:p@127.0.0.1:5672/%2f").unwrap(), 5672);
        assert_eq!(port_of("redis://:p@127.0.0.1:6379/0").unwrap(), 6379);
        assert!(port_of("postgres://localhost/x").is_err());
    }
}
