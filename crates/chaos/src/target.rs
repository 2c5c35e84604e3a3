//! What a fault can hit: the programs, the servers and the links between them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A process that the run starts, other than a server.
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

/// A process that can be killed or frozen.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Victim {
    #[serde(untagged)]
    Program(Program),
    #[serde(untagged)]
    Server(Server),
}

/// The two ends of a link: a program and what it is connected to.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct LinkEnds {
    pub(crate) from: Program,
    pub(crate) to: Victim,
}

impl Program {
    /// All programs, in the order in which they are started.
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

    /// The servers that the program connects to.
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
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Server::ALL
            .map(Self::Server)
            .into_iter()
            .chain(Program::ALL.map(Self::Program))
    }

    /// The name without the number of the replica.
    pub(crate) fn role(self) -> &'static str {
        match self {
            Self::Server(server) => server.name(),
            Self::Program(program) => program.name().trim_end_matches(['-', '1', '2']),
        }
    }
}

impl LinkEnds {
    /// One link from each program to each of its servers, and one to each simulator. Both eTIMS
    /// workers share the link to a simulator, because a device has one address of its authority.
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

    pub(crate) fn to_broker(ingress: Program) -> Self {
        Self {
            from: ingress,
            to: Victim::Server(Server::Rabbitmq),
        }
    }

    /// The ends without the numbers of replicas, as the table groups them.
    pub(crate) fn roles(self) -> String {
        match (self.from, self.to) {
            (_, Victim::Program(_)) => "etims-worker–authority".to_owned(),
            (Program::Ingress1 | Program::Ingress2, Victim::Server(server)) => {
                format!("ingress–{}", server.name())
            }
            (_, Victim::Server(server)) => format!("worker–{}", server.name()),
        }
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
