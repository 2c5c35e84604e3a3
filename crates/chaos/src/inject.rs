//! Injecting a fault and ending it again.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::environment::Environment;
use crate::fault::{Damage, Fault, FaultKind, Injection};
use crate::fault_log::LogEvent;
use crate::fault_rule::FaultRule;
use crate::process_state::ProcessState;
use crate::target::{LinkEnds, Program, Server, Victim};

/// Throughput of each throttled connection. A webhook has about a kilobyte.
const THROTTLED_BYTES_PER_SECOND: u32 = 2048;
const DELAY: Duration = Duration::from_millis(400);

impl Environment {
    /// Runs one fault from its beginning to its end.
    pub(crate) async fn run_fault(&self, fault: Fault) {
        match self.begin(fault).await {
            Ok(Injection::Begun) => {}
            Ok(Injection::NoTarget) => return self.log.record(LogEvent::Missed { fault }),
            Err(error) => {
                self.log
                    .print(&format!("failed to inject {}: {error:#}", fault.kind));
                return self.log.record(LogEvent::Missed { fault });
            }
        }

        // A kill happens at once. Its duration is how long the victim stays down.
        tokio::time::sleep(fault.duration()).await;
        if let Err(error) = self.end(fault.kind).await {
            self.log
                .print(&format!("failed to end {}: {error:#}", fault.kind));
        }
        self.log.record(LogEvent::Ended { fault });
    }

    async fn begin(&self, fault: Fault) -> anyhow::Result<Injection> {
        let record_begin = || self.log.record(LogEvent::Begun { fault });

        match fault.kind {
            FaultKind::Kill {
                victim: Victim::Program(program),
            } => {
                let injection = self.processes.borrow_mut().kill(program, fault.duration());
                if injection == Injection::Begun {
                    record_begin();
                }
                return Ok(injection);
            }
            FaultKind::Freeze {
                victim: Victim::Program(program),
            } => {
                let injection = self.processes.borrow().freeze(program);
                if injection == Injection::Begun {
                    record_begin();
                }
                return Ok(injection);
            }
            FaultKind::Kill {
                victim: Victim::Server(server),
            } => {
                if !self.processes.borrow().server_is_up(server) {
                    return Ok(Injection::NoTarget);
                }
                record_begin();
                self.processes.borrow_mut().hold_down(server);
                self.servers
                    .control("kill", server)
                    .await
                    .or_else(|_| self.ensure_dead(server))?;
            }
            FaultKind::Freeze {
                victim: Victim::Server(server),
            } => {
                if !self.processes.borrow().server_is_up(server) {
                    return Ok(Injection::NoTarget);
                }
                record_begin();
                self.servers.control("freeze", server).await?;
            }
            FaultKind::Link { ends, damage } => {
                record_begin();
                self.damage(ends, damage);
            }
            FaultKind::SpoolFull => {
                record_begin();
                self.damage(LinkEnds::to_broker(Program::Ingress2), Damage::Cut);
                self.restart_with_spool(SpoolSize::Small);
            }
            FaultKind::DiskFull if !self.has_small_disk => return Ok(Injection::NoTarget),
            FaultKind::DiskFull => {
                record_begin();
                fill(&self.filler())?;
                self.damage(LinkEnds::to_broker(Program::Ingress1), Damage::Cut);
            }
            FaultKind::Authority {
                simulator,
                misbehaviour,
            } => {
                record_begin();
                self.add_rule(simulator, &FaultRule::of(&fault, misbehaviour))
                    .await?;
            }
        }
        Ok(Injection::Begun)
    }

    async fn end(&self, kind: FaultKind) -> anyhow::Result<()> {
        match kind {
            // The supervisor starts the program again.
            FaultKind::Kill {
                victim: Victim::Program(_),
            } => {}
            FaultKind::Kill {
                victim: Victim::Server(server),
            } => self.restart_server(server).await,
            FaultKind::Freeze {
                victim: Victim::Program(program),
            } => self.processes.borrow().thaw(program),
            // Somebody may have killed the server while it was frozen.
            FaultKind::Freeze {
                victim: Victim::Server(server),
            } => {
                self.servers
                    .control("thaw", server)
                    .await
                    .or_else(|_| self.ensure_dead(server))?;
            }
            FaultKind::Link { ends, damage } => self.mend(ends, damage).await,
            FaultKind::SpoolFull => {
                self.restart_with_spool(SpoolSize::Usual);
                self.mend(LinkEnds::to_broker(Program::Ingress2), Damage::Cut)
                    .await;
            }
            FaultKind::DiskFull => {
                self.mend(LinkEnds::to_broker(Program::Ingress1), Damage::Cut)
                    .await;
                fs::remove_file(self.filler())?;
            }
            FaultKind::Authority { simulator, .. } => {
                self.clear_rules(simulator).await?;
                self.apply_fault_script().await?;
            }
        }
        Ok(())
    }

    fn ensure_dead(&self, server: Server) -> anyhow::Result<()> {
        ensure!(
            self.servers.state(server) == ProcessState::Dead,
            "{} is running",
            server.name()
        );
        Ok(())
    }

    fn damage(&self, ends: LinkEnds, damage: Damage) {
        let link = self.launcher.link(ends);
        match damage {
            Damage::Cut => link.cut(),
            Damage::Delayed => link.delay(DELAY),
            Damage::Throttled => link.throttle(THROTTLED_BYTES_PER_SECOND),
            Damage::AnswersLost => link.lose_answers(),
            Damage::Frozen => link.freeze(),
        }
    }

    async fn mend(&self, ends: LinkEnds, damage: Damage) {
        let link = self.launcher.link(ends);
        if damage == Damage::AnswersLost {
            // No network loses bytes in the middle of a stream, so the connections must end here.
            link.cut();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        link.restore();
    }

    /// Kills the second ingress, because a changed limit takes effect at a start only.
    fn restart_with_spool(&self, size: SpoolSize) {
        self.launcher.small_spool.set(size == SpoolSize::Small);
        self.processes
            .borrow_mut()
            .kill(Program::Ingress2, Duration::ZERO);
    }

    /// The file that takes all free bytes of the small disk.
    fn filler(&self) -> PathBuf {
        self.launcher.data_dir(Program::Ingress1).join("filler")
    }

    async fn add_rule(&self, simulator: Program, rule: &FaultRule) -> anyhow::Result<()> {
        let url = self.launcher.url(simulator) + "/_sim/faults";
        let request = self
            .http
            .post(url)
            .header("content-type", "application/json")
            .body(serde_json::to_string(rule)?);

        let answer = request
            .send()
            .await
            .context("the simulator does not answer")?;
        ensure!(
            answer.status().is_success(),
            "the simulator answered {}",
            answer.status()
        );
        Ok(())
    }

    async fn clear_rules(&self, simulator: Program) -> anyhow::Result<()> {
        let url = self.launcher.url(simulator) + "/_sim/faults";
        self.http
            .delete(url)
            .send()
            .await
            .context("the simulator does not answer")?;
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum SpoolSize {
    Small,
    Usual,
}

/// Writes zeros until not one more byte fits.
fn fill(path: &Path) -> anyhow::Result<()> {
    let mut file = File::create(path)?;
    for size in [64 * 1024, 1024, 1] {
        let zeros = vec![0; size];
        while file.write(&zeros).is_ok() {}
    }
    Ok(())
}
