//! One fault: what it does, to what, when and for how long.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::target::{LinkEnds, Program, Victim};

/// What happens to a link.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Damage {
    Cut,
    Delayed,
    Throttled,
    AnswersLost,
    Frozen,
}

/// What the simulated tax authority does wrong.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Misbehaviour {
    LosesAnswers,
    Refuses,
    IsDown,
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[serde(tag = "fault", rename_all = "kebab-case")]
pub(crate) enum FaultKind {
    /// SIGKILL. The victim is started again when the fault ends.
    Kill { victim: Victim },
    /// SIGSTOP. The victim gets SIGCONT when the fault ends.
    Freeze { victim: Victim },
    Link {
        #[serde(rename = "wire")]
        ends: LinkEnds,
        damage: Damage,
    },
    /// The second ingress loses its broker and restarts with a spool that holds little.
    SpoolFull,
    /// The first ingress loses its broker, and its disk has no free byte.
    DiskFull,
    Authority {
        simulator: Program,
        #[serde(rename = "mood")]
        misbehaviour: Misbehaviour,
    },
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Debug)]
pub(crate) struct Fault {
    pub(crate) number: usize,
    /// Milliseconds since the programme began.
    pub(crate) at_ms: u64,
    pub(crate) lasts_ms: u64,
    #[serde(flatten)]
    pub(crate) kind: FaultKind,
}

/// Whether a fault could be injected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Injection {
    Begun,
    /// The target was down already, or this machine cannot have such a fault.
    NoTarget,
}

impl Fault {
    pub(crate) fn duration(&self) -> Duration {
        Duration::from_millis(self.lasts_ms)
    }
}

impl FaultKind {
    /// The name under which the table counts such faults.
    pub(crate) fn label(self) -> String {
        match self {
            Self::Kill { victim } => format!("kill -9 {}", victim.role()),
            Self::Freeze { victim } => format!("freeze {}", victim.role()),
            Self::Link { ends, damage } => format!("link {}, {damage}", ends.roles()),
            Self::SpoolFull => "spool at its limit".to_owned(),
            Self::DiskFull => "spool's disk full".to_owned(),
            Self::Authority { misbehaviour, .. } => format!("the tax authority {misbehaviour}"),
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill { victim } => write!(f, "kill -9 {victim}"),
            Self::Freeze { victim } => write!(f, "freeze {victim}"),
            Self::Link { ends, damage } => match ends.to {
                Victim::Program(simulator) => write!(f, "link to {}: {damage}", simulator.name()),
                server => write!(f, "link {}–{server}: {damage}", ends.from.name()),
            },
            Self::Authority {
                simulator,
                misbehaviour,
            } => write!(f, "{} {misbehaviour}", simulator.name()),
            Self::SpoolFull | Self::DiskFull => f.write_str(&self.label()),
        }
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

impl fmt::Display for Misbehaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LosesAnswers => "loses answers",
            Self::Refuses => "refuses",
            Self::IsDown => "is down",
        })
    }
}
