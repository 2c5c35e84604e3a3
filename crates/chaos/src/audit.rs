//! What follows the faults: waiting for the work, replaying dead letters, auditing every id.

use std::path::Path;

use crate::environment::{Environment, TRIES};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AuditVerdict {
    Balanced,
    /// The audit found breaches, which its summary lists.
    Breached,
}

impl Environment {
    pub(crate) async fn settle_and_audit(&self) -> anyhow::Result<AuditVerdict> {
        let fleet = self.fleet();
        let record = self.path("record.jsonl");

        let mut settle = vec!["settle", "--fleet", &fleet, "--record", &record];
        settle.extend(["--wait", "300s"]);
        match self.launcher.run("risiti-load", &settle).await {
            Ok(printed) => self.log.print(printed.trim()),
            // The audit says what is missing.
            Err(error) => self.log.print(&format!("{error:#}")),
        }

        // Unreadable dead letters stay, because a replay would fail again.
        for cause in ["refused", "exhausted"] {
            let mut replay = vec!["run", "--cause", cause, "--yes", "--json"];
            replay.extend(["--reason", "the faults are over"]);
            let printed = self.run_with_retries("risiti-replay", &replay).await?;
            self.log.print(&format!(
                "replayed dead letters ({cause}): {}",
                printed.trim()
            ));
        }

        self.audit(&fleet, &record).await
    }

    async fn audit(&self, fleet: &str, record: &str) -> anyhow::Result<AuditVerdict> {
        let simulators = self.simulator_args();
        let summary = self.path("audit.json");
        let replay = self.launcher.executable("risiti-replay");

        let mut args = vec!["audit", "--fleet", fleet, "--record", record];
        args.extend(["--replay", &replay]);
        args.extend(simulators.iter().map(String::as_str));
        args.extend(["--wait", "180s", "--summary", &summary]);

        for tries_left in (0..TRIES).rev() {
            match self.launcher.run("risiti-load", &args).await {
                Ok(_) => return Ok(AuditVerdict::Balanced),
                // An audit that wrote its summary is complete, so its failure is its verdict.
                Err(_) if Path::new(&summary).exists() => return Ok(AuditVerdict::Breached),
                Err(error) if tries_left == 0 => return Err(error),
                Err(error) => self.pause_before_retry(&error).await,
            }
        }
        unreachable!("the last try returns");
    }
}
