//! Everything that a run consists of and a fault may touch.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use anyhow::ensure;
use risiti_testkit::http_status;
use tokio::time::{Instant, sleep, timeout};

use crate::fault_log::FaultLog;
use crate::launcher::Launcher;
use crate::processes::Processes;
use crate::servers::Servers;
use crate::target::Program;

/// Time within which all programs are started again and ready, after the worst fault.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// How often a step is tried that a kill from outside may fail.
pub(crate) const TRIES: u32 = 8;

pub(crate) struct Environment {
    pub(crate) dir: PathBuf,
    pub(crate) seed: u64,
    pub(crate) launcher: Rc<Launcher>,
    pub(crate) processes: RefCell<Processes>,
    pub(crate) servers: Rc<Servers>,
    pub(crate) log: Rc<FaultLog>,
    pub(crate) http: reqwest::Client,
    pub(crate) has_small_disk: bool,
    /// Whether the simulators run the fault script of `risiti-load trouble`.
    pub(crate) fault_script_active: Cell<bool>,
    /// Webhooks that the spools took so far.
    pub(crate) spooled: Cell<u64>,
}

impl Environment {
    pub(crate) fn fleet(&self) -> String {
        self.path("fleet.json")
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.dir.join(name).to_string_lossy().into_owned()
    }

    /// The arguments by which `risiti-load` finds the simulators.
    pub(crate) fn simulator_args(&self) -> [String; 4] {
        let [legacy, gateway] = Program::SIMULATORS.map(|simulator| self.launcher.url(simulator));
        [
            "--sim".to_owned(),
            legacy,
            "--gateway-sim".to_owned(),
            gateway,
        ]
    }

    /// Gives the simulators the fault script, or clears it. A simulator loses its faults when it
    /// dies, so this runs again after every start of one.
    pub(crate) async fn apply_fault_script(&self) -> anyhow::Result<()> {
        let fleet = self.fleet();
        let seed = self.seed.to_string();
        let simulators = self.simulator_args();

        let mut args = vec!["trouble", "--fleet", &fleet, "--seed", &seed];
        args.extend(simulators.iter().map(String::as_str));
        if !self.fault_script_active.get() {
            args.push("--clear");
        }
        self.run_with_retries("risiti-load", &args).await.map(drop)
    }

    /// Runs a command that may be run twice. Others may kill servers even when the faults are over.
    pub(crate) async fn run_with_retries(
        &self,
        executable: &str,
        args: &[&str],
    ) -> anyhow::Result<String> {
        for _ in 1..TRIES {
            match self.launcher.run(executable, args).await {
                Ok(printed) => return Ok(printed),
                Err(error) => self.pause_before_retry(&error).await,
            }
        }
        self.launcher.run(executable, args).await
    }

    pub(crate) async fn pause_before_retry(&self, error: &anyhow::Error) {
        self.log.print(&format!("trying again after: {error:#}"));
        sleep(Duration::from_secs(3)).await;
    }

    pub(crate) async fn wait_until_ready(&self, programs: &[Program]) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        for program in programs {
            let (address, path) = if Program::SIMULATORS.contains(program) {
                (self.launcher.address(*program), "/_sim/stats")
            } else {
                (self.launcher.ops_address(*program), "/readyz")
            };
            let is_ready = async || {
                matches!(
                    timeout(Duration::from_secs(3), http_status(address, path)).await,
                    Ok(Some(200))
                )
            };

            while !is_ready().await {
                ensure!(
                    Instant::now() < deadline,
                    "{} does not become ready",
                    program.name()
                );
                sleep(Duration::from_millis(100)).await;
            }
        }
        Ok(())
    }
}
