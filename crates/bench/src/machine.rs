//! What the figures were measured on.

use std::path::Path;
use std::process::Command;
use std::{fs, thread};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::ground::Ground;

#[derive(Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    pub(crate) cpu: String,
    pub(crate) memory_gib: u64,
    pub(crate) postgres: String,
    pub(crate) rabbitmq: String,
    pub(crate) redis: String,
    pub(crate) rustc: String,
    pub(crate) commit: String,
    /// Whether files of the commit were changed.
    pub(crate) dirty: bool,
    /// Processes that wanted a core before the run, averaged over a minute.
    pub(crate) load_before: f64,
}

impl Machine {
    pub(crate) async fn look(ground: &Ground, load_before: f64) -> anyhow::Result<Self> {
        let client = ground.servers.connect().await;
        let postgres: String = client.query_one("SHOW server_version", &[]).await?.get(0);
        let rabbitmq = rabbitmq_version(ground.servers.amqp_url()).await?;
        Ok(Self {
            cores: thread::available_parallelism().map_or(0, usize::from),
            cpu: after("/proc/cpuinfo", "model name"),
            memory_gib: kib("/proc/meminfo", "MemTotal") / (1 << 20),
            postgres,
            rabbitmq,
            redis: output("redis-server", &["--version"]),
            rustc: output("rustc", &["--version"]),
            commit: output("git", &["rev-parse", "--short=12", "HEAD"]),
            dirty: !output("git", &["status", "--porcelain"]).is_empty(),
            load_before,
        })
    }
}

/// The load average of the last minute.
pub(crate) fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split(' ').next().and_then(|text| text.parse().ok());
    first.unwrap_or(0.0)
}

/// The broker tells its version in its greeting, which lapin does not show.
async fn rabbitmq_version(amqp_url: &str) -> anyhow::Result<String> {
    let (_, authority) = amqp_url.rsplit_once('@').context("a URL has a host")?;
    let (address, _) = authority.split_once('/').context("a URL has a vhost")?;
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"AMQP\x00\x00\x09\x01").await?;
    let mut greeting = vec![0; 4096];
    let length = stream.read(&mut greeting).await?;
    Ok(version_in(&greeting[..length]).unwrap_or_default())
}

/// Finds the field `version`, a long string, among the server's properties.
fn version_in(greeting: &[u8]) -> Option<String> {
    const FIELD: &[u8] = b"\x07versionS";
    let start = greeting.windows(FIELD.len()).position(|at| at == FIELD)?;
    let (length, rest) = greeting[start + FIELD.len()..].split_first_chunk()?;
    let text = rest.get(..u32::from_be_bytes(*length) as usize)?;
    String::from_utf8(text.to_vec()).ok()
}

/// First line of what a command prints. It is empty where there is no such command.
fn output(program: &str, args: &[&str]) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(program).args(args).current_dir(root).output();
    let stdout = output.map(|output| output.stdout).unwrap_or_default();
    let text = String::from_utf8_lossy(&stdout);
    text.lines().next().unwrap_or_default().trim().to_owned()
}

/// The value of the first line `name : value` of a file.
fn after(path: &str, name: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let value = line.and_then(|rest| rest.split_once(':'));
    value.map_or_else(String::new, |(_, value)| value.trim().to_owned())
}

fn kib(path: &str, name: &str) -> u64 {
    let text = after(path, name);
    let number = text.split(' ').next().and_then(|text| text.parse().ok());
    number.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_found_in_a_greeting() {
        let greeting = b"..\x07productS\0\0\0\x08RabbitMQ\x07versionS\0\0\0\x063.10.8\x08platform";
        assert_eq!(version_in(greeting).as_deref(), Some("3.10.8"));
        assert_eq!(version_in(&greeting[..40]), None);
    }
}
