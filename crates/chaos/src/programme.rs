//! What goes wrong, and when: a seed becomes a list of faults. Nothing here knows how a fault is made.

use std::fmt;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{Rng as _, SeedableRng as _};
use serde::{Deserialize, Serialize};

/// What runs, apart from the servers.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Program {
    #[serde(rename = "ingress-1")]
    Ingress1,
    #[serde(rename = "ingress-2")]
    Ingress2,
    #[serde(rename = "ledger-worker-1")]
    LedgerWorker1,
    #[serde(rename = "ledger-worker-2")]
    LedgerWorker2,
    #[serde(rename = "etims-worker-1")]
    EtimsWorker1,
    #[serde(rename = "etims-worker-2")]
    EtimsWorker2,
    EtimsSim,
    EtimsSimGateway,
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Server {
    Postgres,
    Rabbitmq,
    Redis,
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Victim {
    #[serde(untagged)]
    Program(Program),
    #[serde(untagged)]
    Server(Server),
}

/// The wire between a program and what it talks to.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Wire {
    pub(crate) from: Program,
    pub(crate) to: Victim,
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Damage {
    Cut,
    Delayed,
    Throttled,
    AnswersLost,
    Frozen,
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mood {
    LosesAnswers,
    Refuses,
    IsDown,
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[serde(tag = "fault", rename_all = "kebab-case")]
pub(crate) enum What {
    /// SIGKILL, and back when the fault ends.
    Kill {
        victim: Victim,
    },
    /// SIGSTOP, and SIGCONT when the fault ends.
    Freeze {
        victim: Victim,
    },
    Link {
        wire: Wire,
        damage: Damage,
    },
    /// The second ingress without its broker, and with a spool that holds little.
    SpoolFull,
    /// The first ingress, without its broker and without a free byte on its disk.
    DiskFull,
    Authority {
        simulator: Program,
        mood: Mood,
    },
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Debug)]
pub(crate) struct Fault {
    pub(crate) number: usize,
    /// Since the programme began.
    pub(crate) at_ms: u64,
    pub(crate) lasts_ms: u64,
    #[serde(flatten)]
    pub(crate) what: What,
}

impl Program {
    pub(crate) const ALL: [Self; 8] = [
        Self::EtimsSim,
        Self::EtimsSimGateway,
        Self::LedgerWorker1,
        Self::LedgerWorker2,
        Self::EtimsWorker1,
        Self::EtimsWorker2,
        Self::Ingress1,
        Self::Ingress2,
    ];
    pub(crate) const INGRESSES: [Self; 2] = [Self::Ingress1, Self::Ingress2];
    pub(crate) const SIMULATORS: [Self; 2] = [Self::EtimsSim, Self::EtimsSimGateway];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ingress1 => "ingress-1",
            Self::Ingress2 => "ingress-2",
            Self::LedgerWorker1 => "ledger-worker-1",
            Self::LedgerWorker2 => "ledger-worker-2",
            Self::EtimsWorker1 => "etims-worker-1",
            Self::EtimsWorker2 => "etims-worker-2",
            Self::EtimsSim => "etims-sim",
            Self::EtimsSimGateway => "etims-sim-gateway",
        }
    }

    /// The servers it is connected to.
    pub(crate) fn servers(self) -> &'static [Server] {
        match self {
            Self::Ingress1 | Self::Ingress2 => &[Server::Rabbitmq, Server::Postgres, Server::Redis],
            Self::EtimsSim | Self::EtimsSimGateway => &[],
            _ => &[Server::Rabbitmq, Server::Postgres],
        }
    }
}

impl Server {
    pub(crate) const ALL: [Self; 3] = [Self::Postgres, Self::Rabbitmq, Self::Redis];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Rabbitmq => "rabbitmq",
            Self::Redis => "redis",
        }
    }
}

impl Victim {
    fn all() -> impl Iterator<Item = Self> {
        Server::ALL
            .map(Self::Server)
            .into_iter()
            .chain(Program::ALL.map(Self::Program))
    }
}

impl Wire {
    /// One of each program to each of its servers. The simulators have one each, which both workers share: a
    /// device knows its authority by one address.
    pub(crate) fn all() -> Vec<Self> {
        let to_servers = Program::ALL.into_iter().flat_map(|from| {
            from.servers().iter().map(move |server| Self {
                from,
                to: Victim::Server(*server),
            })
        });
        to_servers
            .chain(Program::SIMULATORS.map(Self::to_simulator))
            .collect()
    }

    pub(crate) fn to_simulator(simulator: Program) -> Self {
        Self {
            from: Program::EtimsWorker1,
            to: Victim::Program(simulator),
        }
    }
}

const DAMAGES: [Damage; 5] = [
    Damage::Cut,
    Damage::Delayed,
    Damage::Throttled,
    Damage::AnswersLost,
    Damage::Frozen,
];
const MOODS: [Mood; 3] = [Mood::LosesAnswers, Mood::Refuses, Mood::IsDown];
/// Broken links among all faults of one round, in which everything that runs is killed and frozen once.
const LINKS_A_ROUND: usize = 14;
const CALM_BEFORE_MS: u64 = 2_000;

/// The same seed makes the same list. Faults end before the traffic does.
pub(crate) fn programme(seed: u64, seconds: u64) -> Vec<Fault> {
    let mut rng = StdRng::seed_from_u64(seed);
    let (mut faults, mut round) = (Vec::new(), Vec::new());
    let mut at_ms = CALM_BEFORE_MS;
    loop {
        if round.is_empty() {
            round = new_round(&mut rng);
        }
        let what: What = round.pop().expect("a round has faults");
        let lasts_ms = duration(&mut rng, what);
        if at_ms + lasts_ms > seconds * 1000 {
            return faults;
        }
        faults.push(Fault {
            number: faults.len() + 1,
            at_ms,
            lasts_ms,
            what,
        });
        // Now and then the next begins while this one lasts.
        at_ms += if rng.random_range(0..4) == 0 {
            rng.random_range(200..=lasts_ms.clamp(201, 2000))
        } else {
            lasts_ms + rng.random_range(300..3000)
        };
    }
}

fn new_round(rng: &mut StdRng) -> Vec<What> {
    let mut round: Vec<What> = Victim::all()
        .flat_map(|victim| [What::Kill { victim }, What::Freeze { victim }])
        .chain([What::SpoolFull, What::DiskFull])
        .chain(MOODS.map(|mood| {
            let simulator = *Program::SIMULATORS.choose(rng).expect("there are two");
            What::Authority { simulator, mood }
        }))
        .collect();
    let mut links: Vec<(Wire, Damage)> = Wire::all()
        .into_iter()
        .flat_map(|wire| DAMAGES.map(|damage| (wire, damage)))
        .collect();
    links.shuffle(rng);
    round.extend(
        links
            .into_iter()
            .take(LINKS_A_ROUND)
            .map(|(wire, damage)| What::Link { wire, damage }),
    );
    round.shuffle(rng);
    round
}

fn duration(rng: &mut StdRng, what: What) -> u64 {
    match what {
        What::Kill { .. } => rng.random_range(0..3000),
        // Now and then longer than a lease lasts.
        What::Freeze {
            victim: Victim::Program(Program::EtimsWorker1 | Program::EtimsWorker2),
        } if rng.random_range(0..3) == 0 => rng.random_range(11_000..14_000),
        What::SpoolFull | What::DiskFull => rng.random_range(5000..9000),
        _ => rng.random_range(1500..6000),
    }
}

impl Fault {
    pub(crate) fn lasts(&self) -> Duration {
        Duration::from_millis(self.lasts_ms)
    }
}

impl What {
    /// As the table counts them.
    pub(crate) fn kind(self) -> String {
        match self {
            Self::Kill { victim } => format!("kill -9 {}", role(victim)),
            Self::Freeze { victim } => format!("freeze {}", role(victim)),
            Self::Link { wire, damage } => format!("link {}, {damage}", family(wire)),
            Self::SpoolFull => "spool at its limit".to_owned(),
            Self::DiskFull => "spool's disk full".to_owned(),
            Self::Authority { mood, .. } => format!("the tax authority {mood}"),
        }
    }
}

/// Without the number.
fn role(victim: Victim) -> &'static str {
    match victim {
        Victim::Server(server) => server.name(),
        Victim::Program(program) => program.name().trim_end_matches(['-', '1', '2']),
    }
}

fn family(wire: Wire) -> String {
    match (wire.from, wire.to) {
        (_, Victim::Program(_)) => "etims-worker–authority".to_owned(),
        (Program::Ingress1 | Program::Ingress2, Victim::Server(server)) => {
            format!("ingress–{}", server.name())
        }
        (_, Victim::Server(server)) => format!("worker–{}", server.name()),
    }
}

impl fmt::Display for Victim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Program(program) => program.name(),
            Self::Server(server) => server.name(),
        })
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cut => "cut",
            Self::Delayed => "delayed",
            Self::Throttled => "throttled",
            Self::AnswersLost => "answers lost",
            Self::Frozen => "frozen",
        })
    }
}

impl fmt::Display for Mood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LosesAnswers => "loses answers",
            Self::Refuses => "refuses",
            Self::IsDown => "is down",
        })
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill { victim } => write!(f, "kill -9 {victim}"),
            Self::Freeze { victim } => write!(f, "freeze {victim}"),
            Self::Link { wire, damage } => match wire.to {
                Victim::Program(simulator) => write!(f, "link to {}: {damage}", simulator.name()),
                server => write!(f, "link {}–{server}: {damage}", wire.from.name()),
            },
            Self::Authority { simulator, mood } => write!(f, "{} {mood}", simulator.name()),
            Self::SpoolFull | Self::DiskFull => f.write_str(&self.kind()),
        }
    }
}

#[cfg(test)]
#[path = "programme_tests.rs"]
mod tests;
