//! Making a fault and taking it away again.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::diary::Event;
use crate::programme::{Damage, Fault, Mood, Program, Server, Victim, What, Wire};
use crate::run::Scene;

/// Of each connection. A webhook has about a kilobyte.
const THROTTLED_BYTES_PER_SECOND: u32 = 2048;
const DELAY: Duration = Duration::from_millis(400);

impl Scene {
    /// From its beginning to its end.
    pub(crate) async fn carry_out(&self, fault: Fault) {
        match self.begin(fault).await {
            Ok(true) => {}
            Ok(false) => return self.diary.note(Event::Missed { fault }),
            Err(error) => {
                self.diary
                    .tell(&format!("{} did not come about: {error:#}", fault.what));
                return self.diary.note(Event::Missed { fault });
            }
        }
        // A kill has happened; what follows is how long it stays down.
        tokio::time::sleep(fault.lasts()).await;
        if let Err(error) = self.end(fault.what).await {
            self.diary
                .tell(&format!("{} did not end well: {error:#}", fault.what));
        }
        self.diary.note(Event::Ended { fault });
    }

    /// False where there was nobody to hit.
    async fn begin(&self, fault: Fault) -> anyhow::Result<bool> {
        let begun = || self.diary.note(Event::Begun { fault });
        match fault.what {
            What::Kill {
                victim: Victim::Program(program),
            } => {
                let hit = self.troupe.borrow_mut().kill(program, fault.lasts());
                hit.then(begun);
                return Ok(hit);
            }
            What::Freeze {
                victim: Victim::Program(program),
            } => {
                let hit = self.troupe.borrow().freeze(program);
                hit.then(begun);
                return Ok(hit);
            }
            What::Kill {
                victim: Victim::Server(server),
            } => {
                if !self.troupe.borrow().server_is_up(server) {
                    return Ok(false);
                }
                begun();
                self.troupe.borrow_mut().hold(server);
                self.servers
                    .ask("kill", server)
                    .await
                    .or_else(|_| self.is_dead(server))?;
            }
            What::Freeze {
                victim: Victim::Server(server),
            } => {
                if !self.troupe.borrow().server_is_up(server) {
                    return Ok(false);
                }
                begun();
                self.servers.ask("freeze", server).await?;
            }
            What::Link { wire, damage } => {
                begun();
                self.damage(wire, damage);
            }
            What::SpoolFull => {
                begun();
                self.damage(broker_of(Program::Ingress2), Damage::Cut);
                self.limit_spool(true);
            }
            What::DiskFull if !self.has_small_disk => return Ok(false),
            What::DiskFull => {
                begun();
                fill(&self.filler())?;
                self.damage(broker_of(Program::Ingress1), Damage::Cut);
            }
            What::Authority { simulator, mood } => {
                begun();
                self.add_rule(simulator, &rule(fault, mood)).await?;
            }
        }
        Ok(true)
    }

    async fn end(&self, what: What) -> anyhow::Result<()> {
        match what {
            What::Kill {
                victim: Victim::Program(_),
            } => {}
            What::Kill {
                victim: Victim::Server(server),
            } => self.bring_back(server).await,
            What::Freeze {
                victim: Victim::Program(program),
            } => self.troupe.borrow().thaw(program),
            // It may have been killed meanwhile.
            What::Freeze {
                victim: Victim::Server(server),
            } => {
                self.servers
                    .ask("thaw", server)
                    .await
                    .or_else(|_| self.is_dead(server))?;
            }
            What::Link { wire, damage } => self.mend(wire, damage).await,
            What::SpoolFull => {
                self.limit_spool(false);
                self.mend(broker_of(Program::Ingress2), Damage::Cut).await;
            }
            What::DiskFull => {
                self.mend(broker_of(Program::Ingress1), Damage::Cut).await;
                fs::remove_file(self.filler())?;
            }
            What::Authority { simulator, .. } => {
                self.clear_rules(simulator).await?;
                self.set_weather().await?;
            }
        }
        Ok(())
    }

    fn is_dead(&self, server: Server) -> anyhow::Result<()> {
        ensure!(
            self.servers.pulse(server) == crate::servers::Pulse::Dead,
            "{} lives",
            server.name()
        );
        Ok(())
    }

    /// However often it takes: what was killed from outside may leave children that are still ending.
    pub(crate) async fn bring_back(&self, server: Server) {
        while let Err(error) = self.servers.ask("start", server).await {
            let error = error.to_string();
            let why = error.lines().last().unwrap_or_default();
            self.diary
                .tell(&format!("{} does not start yet: {why}", server.name()));
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        self.troupe.borrow_mut().is_back(server);
    }

    fn damage(&self, wire: Wire, damage: Damage) {
        let link = self.recipes.link(wire);
        match damage {
            Damage::Cut => link.cut(),
            Damage::Delayed => link.delay(DELAY),
            Damage::Throttled => link.throttle(THROTTLED_BYTES_PER_SECOND),
            Damage::AnswersLost => link.lose_answers(),
            Damage::Frozen => link.freeze(),
        }
    }

    async fn mend(&self, wire: Wire, damage: Damage) {
        let link = self.recipes.link(wire);
        if damage == Damage::AnswersLost {
            // A hole in the middle of a stream is nothing that a network makes.
            link.cut();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        link.restore();
    }

    /// A limit is a setting, so it takes a restart, and a hard one will do.
    fn limit_spool(&self, small: bool) {
        self.recipes.small_spool.set(small);
        self.troupe
            .borrow_mut()
            .kill(Program::Ingress2, Duration::ZERO);
    }

    fn filler(&self) -> std::path::PathBuf {
        self.recipes.data_dir(Program::Ingress1).join("filler")
    }

    async fn add_rule(&self, simulator: Program, rule: &Value) -> anyhow::Result<()> {
        let url = self.recipes.address(simulator) + "/_sim/faults";
        let request = self
            .http
            .post(url)
            .header("content-type", "application/json")
            .body(rule.to_string());
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
        let url = self.recipes.address(simulator) + "/_sim/faults";
        self.http
            .delete(url)
            .send()
            .await
            .context("the simulator does not answer")?;
        Ok(())
    }
}

fn broker_of(ingress: Program) -> Wire {
    Wire {
        from: ingress,
        to: Victim::Server(Server::Rabbitmq),
    }
}

fn rule(fault: Fault, mood: Mood) -> Value {
    match mood {
        Mood::LosesAnswers => {
            json!({"match": {"call": "sale", "probability": 0.5, "seed": fault.number}, "fault": "accept_then_drop"})
        }
        Mood::Refuses => {
            json!({"match": {"call": "sale", "probability": 0.3, "seed": fault.number},
                   "fault": {"envelope": {"code": "910", "message": "Request parameter error", "status": 400}}})
        }
        Mood::IsDown => {
            json!({"match": {"call": "any", "count": 1}, "fault": {"down_for": {"ms": fault.lasts_ms, "status": 502}}})
        }
    }
}

/// Until nothing more fits.
fn fill(path: &Path) -> anyhow::Result<()> {
    let mut file = File::create(path)?;
    for size in [64 * 1024, 1024, 1] {
        let zeros = vec![0; size];
        while file.write(&zeros).is_ok() {}
    }
    Ok(())
}
