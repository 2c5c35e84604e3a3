//! Programs of an installation that run.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::bail;
use risiti_testkit::{Process, Program, eventually, free_port, http_status};

use crate::control;
use crate::load::Target;

/// Longest wait for a program to become ready.
const READY: Duration = Duration::from_secs(60);
/// Longest wait for a program to end.
const END: Duration = Duration::from_secs(60);
/// Longest wait until a spool is empty.
const DRAINED: Duration = Duration::from_secs(600);

/// A program that runs and is ready.
pub(crate) struct Running {
    pub(crate) process: Process,
    pub(crate) ops: SocketAddr,
}

/// An ingress, and how a load reaches it.
pub(crate) struct Ingress {
    pub(crate) running: Running,
    pub(crate) target: Target,
}

impl Ingress {
    /// Asks it to end once its spool is empty, and waits.
    pub(crate) async fn end(self) -> anyhow::Result<()> {
        await_empty_spool(self.running.ops).await;
        self.running.end().await
    }
}

impl Running {
    pub(crate) async fn start(program: Program) -> Self {
        // The log of a program that only warns does not tell the address it bound.
        let ops = free_address();
        let mut process = program.env("RISITI_OPS_LISTEN", ops.to_string()).start();
        eventually("a program is ready", READY, async || {
            if let Some(status) = process.try_exit() {
                panic!("a program ended with {status}: {}", process.log());
            }
            (http_status(ops, "/readyz").await? == 200).then_some(())
        })
        .await;
        Self { process, ops }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Reads a metric, summed over the series with all of these labels.
    pub(crate) async fn metric(&self, name: &str, labels: &[&str]) -> anyhow::Result<f64> {
        let text = control::get(self.ops, "/metrics").await?;
        Ok(control::metric(&text, name, labels))
    }

    /// Asks it to end, and waits.
    pub(crate) async fn end(mut self) -> anyhow::Result<()> {
        self.process.terminate();
        let status = self.process.exit(END).await;
        if !status.success() {
            bail!("{} ended with {status}", self.process.name());
        }
        Ok(())
    }
}

/// Waits until an ingress has no webhook in its spool.
pub(crate) async fn await_empty_spool(ops: SocketAddr) {
    eventually("the spool runs empty", DRAINED, async || {
        let text = control::get(ops, "/metrics").await.ok()?;
        (control::metric(&text, "risiti_spool_entries", &[]) == 0.0).then_some(())
    })
    .await;
}

/// An address on which nothing listens at this moment.
pub(crate) fn free_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], free_port()))
}
