//! The programme's own PostgreSQL, RabbitMQ and Redis, through `deploy/local/services.sh`, which ends them when
//! this process does, however it ends.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, ensure};

use crate::programme::Server;

pub(crate) struct Servers {
    dir: PathBuf,
    logs: PathBuf,
    hold: Child,
    pub(crate) database_url: String,
    pub(crate) amqp_url: String,
    pub(crate) redis_url: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pulse {
    Runs,
    Stopped,
    Dead,
}

impl Servers {
    /// Their logs go to `logs` in the end, and their data goes.
    pub(crate) async fn start(dir: &Path, logs: &Path) -> anyhow::Result<Self> {
        let names = Server::ALL.map(Server::name);
        // A run that was itself killed in the middle may have left some.
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

    /// `start`, `kill`, `freeze` or `thaw`.
    pub(crate) async fn ask(&self, command: &str, server: Server) -> anyhow::Result<()> {
        let mut command_line = tokio::process::Command::from(services(&self.dir, command));
        let output = command_line.arg(server.name()).output().await?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "services.sh {command} {}: {}",
            server.name(),
            said.trim()
        );
        Ok(())
    }

    pub(crate) fn pulse(&self, server: Server) -> Pulse {
        let remembered =
            std::fs::read_to_string(self.dir.join(format!("run/{}.pid", server.name())));
        let Ok(pid) = remembered.unwrap_or_default().trim().parse() else {
            return Pulse::Dead;
        };
        pulse(pid)
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
        // Its input ends, and so do they.
        drop(self.hold.stdin.take());
        let _ = self.hold.wait();
    }
}

fn services(dir: &Path, command: &str) -> Command {
    let mut services = Command::new(crate::stage::root().join("deploy/local/services.sh"));
    // A signal for this process' whole group is not for them.
    services.process_group(0).stdin(Stdio::null());
    services.arg(command).env("RISITI_SERVICES_DIR", dir);
    services
}

/// Of any process, by what the kernel says.
pub(crate) fn pulse(pid: u32) -> Pulse {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // "1 (name) S …", where the name may hold anything.
    match stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next())
    {
        None | Some('Z' | 'X') => Pulse::Dead,
        Some('T' | 't') => Pulse::Stopped,
        Some(_) => Pulse::Runs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pulse_of_this_process_and_of_none() {
        assert_eq!(pulse(std::process::id()), Pulse::Runs);
        assert_eq!(pulse(u32::MAX), Pulse::Dead);
    }
}
