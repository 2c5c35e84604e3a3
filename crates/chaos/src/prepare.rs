//! Preparation of a run: tables, merchants, devices and all programs. Servers may be killed from
//! outside already now.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;
use risiti_testkit::empty_database;

use crate::environment::{Environment, TRIES};
use crate::target::{LinkEnds, Program};

impl Environment {
    pub(crate) async fn prepare(&self) -> anyhow::Result<()> {
        for name in ["record.jsonl", "audit.json"] {
            let _ = fs::remove_file(self.dir.join(name));
        }
        let _ = fs::remove_dir_all(self.launcher.data_dir(Program::Ingress2));
        self.remove_journals();

        for simulator in Program::SIMULATORS {
            self.processes.borrow_mut().start(simulator);
        }
        for tries_left in (0..TRIES).rev() {
            match self.make_fleet().await {
                Ok(()) => break,
                Err(error) if tries_left == 0 => return Err(error),
                Err(error) => self.reset_simulators(&error).await,
            }
        }

        let others = Program::ALL
            .into_iter()
            .filter(|program| !Program::SIMULATORS.contains(program));
        for program in others {
            self.processes.borrow_mut().start(program);
        }
        self.wait_until_ready(&Program::ALL).await?;
        self.fault_script_active.set(true);
        self.apply_fault_script().await
    }

    /// Makes merchants and devices in an empty database. Devices know the authority by the address
    /// of its link.
    async fn make_fleet(&self) -> anyhow::Result<()> {
        empty_database(&self.servers.database_url)
            .await
            .context("failed to empty the database")?;
        self.launcher.run("risiti-admin", &["migrate"]).await?;
        self.wait_until_ready(&Program::SIMULATORS).await?;

        let [legacy, gateway] = Program::SIMULATORS
            .map(|simulator| self.launcher.link(LinkEnds::to_simulator(simulator)).url());
        let admin = self.launcher.executable("risiti-admin");
        let fleet = self.fleet();
        let mut args = vec!["seed", "--admin", &admin];
        args.extend(["--sim", legacy, "--gateway-sim", gateway]);
        args.extend(["--out", &fleet, "--merchants", "12"]);
        self.launcher.run("risiti-load", &args).await.map(drop)
    }

    /// Restarts the simulators without their devices. Half a fleet is useless, because nobody knows
    /// its keys.
    async fn reset_simulators(&self, error: &anyhow::Error) {
        for simulator in Program::SIMULATORS {
            self.processes.borrow_mut().kill(simulator, Duration::ZERO);
        }
        self.remove_journals();
        self.pause_before_retry(error).await;
    }

    /// Removes the simulators' journals. The simulators must not run.
    fn remove_journals(&self) {
        for simulator in Program::SIMULATORS {
            let _ = fs::remove_file(self.launcher.journal(simulator));
        }
    }
}
