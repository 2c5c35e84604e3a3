//! The run's own PostgreSQL, RabbitMQ and Redis. `deploy/local/services.sh` starts them, and ends
//! them when this process ends, however it ends.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, ensure};

use crate::process_state::{ProcessState, process_state};
use crate::target::Server;

pub(crate) struct Servers {
    dir: PathBuf,
    logs: PathBuf,
    /// `services.sh hold`, which ends the servers when its input ends.
    hold: Child,
    pub(crate) database_url: String,
    pub(crate) amqp_url: String,
    pub(crate) redis_url: String,
}

impl Servers {
    /// Starts all servers with empty data. When they end, their logs are copied to `logs` and
    /// their data is removed.
    pub(crate) async fn start(dir: &Path, logs: &Path) -> anyhow::Result<Self> {
        let names = Server::ALL.map(Server::name);
        // A run that was killed may have left servers running.
        services(dir, "down")
            .arg("--purge")
            .stderr(Stdio::null())
            .status()?;
        let mut hold = services(dir, "hold")
            .args(names)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("failed to run services.sh")?;
        let stdout = hold.stdout.take().expect("it was asked for");

        let mut servers = Self {
            dir: dir.to_owned(),
            logs: logs.to_owned(),
            hold,
            database_url: String::new(),
            amqp_url: String::new(),
            redis_url: String::new(),
        };
        let printed =
            tokio::task::spawn_blocking(move || std::io::read_to_string(stdout)).await??;

        let exported = |name: &str| -> anyhow::Result<String> {
            let prefix = format!("export {name}='");
            let value = printed
                .lines()
                .find_map(|line| line.strip_prefix(&prefix)?.strip_suffix('\''));
            Ok(value
                .with_context(|| format!("the servers did not start: no {name}"))?
                .to_owned())
        };

        servers.database_url = exported("DATABASE_URL")?;
        servers.amqp_url = exported("AMQP_URL")?;
        servers.redis_url = exported("RISITI_REDIS_URL")?;
        Ok(servers)
    }

    /// Runs `services.sh` with `start`, `kill`, `freeze` or `thaw`.
    pub(crate) async fn control(&self, command: &str, server: Server) -> anyhow::Result<()> {
        let mut command_line = tokio::process::Command::from(services(&self.dir, command));
        let output = command_line.arg(server.name()).output().await?;
        let message = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "services.sh {command} {}: {}",
            server.name(),
            message.trim()
        );
        Ok(())
    }

    pub(crate) fn state(&self, server: Server) -> ProcessState {
        let pid_file = std::fs::read_to_string(self.dir.join(format!("run/{}.pid", server.name())));
        let Ok(pid) = pid_file.unwrap_or_default().trim().parse() else {
            return ProcessState::Dead;
        };
        process_state(pid)
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for folder in ["log", "rabbitmq/log"] {
            for log in std::fs::read_dir(self.dir.join(folder))
                .into_iter()
                .flatten()
                .flatten()
            {
                let _ = std::fs::copy(log.path(), self.logs.join(log.file_name()));
            }
        }
        // The end of its input makes `services.sh hold` end the servers.
        drop(self.hold.stdin.take());
        let _ = self.hold.wait();
    }
}

fn services(dir: &Path, command: &str) -> Command {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut services = Command::new(repository.join("deploy/local/services.sh"));
    // A signal to this process's group must not reach the servers.
    services.process_group(0).stdin(Stdio::null());
    services.arg(command).env("RISITI_SERVICES_DIR", dir);
    services
}
