//! What a run stands on: servers of its own, and a folder for its files.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context as _, ensure};
use risiti_testkit::{PrivateServers, Program, Server};

use crate::load::Numbers;

pub(crate) struct Ground {
    pub(crate) servers: PrivateServers,
    pub(crate) dir: PathBuf,
    pub(crate) numbers: Numbers,
    pub(crate) full: bool,
    programs: PathBuf,
    started: Cell<u32>,
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
            started: Cell::new(0),
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

    pub(crate) fn logs(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// A number that this run has not used in a name yet.
    pub(crate) fn count(&self) -> u32 {
        self.started.set(self.started.get() + 1);
        self.started.get()
    }
}

/// Makes an empty folder for the files of a run.
pub(crate) fn empty_folder(dir: &Path) -> anyhow::Result<PathBuf> {
    let _ = fs::remove_dir_all(dir);
    fs::create_dir_all(dir).with_context(|| format!("failed to make {}", dir.display()))?;
    // Programs get absolute paths.
    Ok(dir.canonicalize()?)
}
