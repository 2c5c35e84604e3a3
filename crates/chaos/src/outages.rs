//! When a process was dead or frozen, and when a spool had no room, according to the fault log.

use jiff::{SignedDuration, Timestamp};

use crate::fault::FaultKind;
use crate::fault_log::{LogEntry, LogEvent};
use crate::target::{Program, Victim};

/// The log may record an exit or a stop this much too late.
const RECORDED_WITHIN: SignedDuration = SignedDuration::from_millis(200);

pub(crate) struct Outages(Vec<(Timestamp, Timestamp)>);

/// What an entry of the log means for an outage.
enum Edge {
    Begin(Timestamp),
    End,
}

impl Outages {
    pub(crate) fn of(victim: Victim, log: &[LogEntry]) -> Self {
        Self::between(log, |entry| match entry.event {
            LogEvent::Exited { who, .. } | LogEvent::Stopped { who } if who == victim => {
                entry.at.checked_sub(RECORDED_WITHIN).ok().map(Edge::Begin)
            }
            LogEvent::Restarted { who } | LogEvent::Resumed { who } if who == victim => {
                Some(Edge::End)
            }
            _ => None,
        })
    }

    /// When the spool of an ingress had no room.
    pub(crate) fn of_spool(ingress: Program, log: &[LogEntry]) -> Self {
        let is_of_ingress = |kind| match kind {
            FaultKind::SpoolFull => ingress == Program::Ingress2,
            FaultKind::DiskFull => ingress == Program::Ingress1,
            _ => false,
        };
        Self::between(log, |entry| match entry.event {
            LogEvent::Begun { fault } if is_of_ingress(fault.kind) => Some(Edge::Begin(entry.at)),
            LogEvent::Ended { fault } if is_of_ingress(fault.kind) => Some(Edge::End),
            _ => None,
        })
    }

    /// From each first beginning to the next end, or to the end of time.
    fn between(log: &[LogEntry], edge: impl Fn(&LogEntry) -> Option<Edge>) -> Self {
        let mut outages = Vec::new();
        let mut since = None;
        for entry in log {
            match edge(entry) {
                Some(Edge::Begin(at)) => since = since.or(Some(at)),
                Some(Edge::End) => {
                    outages.extend(since.take().map(|since| (since, entry.at)));
                }
                None => {}
            }
        }
        outages.extend(since.map(|since| (since, Timestamp::MAX)));
        Self(outages)
    }

    /// Whether an outage and this span have a moment in common.
    pub(crate) fn overlap(&self, from: Timestamp, to: Timestamp) -> bool {
        self.0
            .iter()
            .any(|(began, ended)| *began <= to && from <= *ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault_log::ExitCause;

    #[test]
    fn outage_lasts_from_the_first_stop_to_the_restart() {
        let who = Victim::Program(Program::Ingress1);
        let other = Victim::Program(Program::Ingress2);
        let at = |second| Timestamp::from_second(second).unwrap();
        let entry = |second, event| LogEntry {
            at: at(second),
            event,
        };
        let killed = LogEvent::Exited {
            who,
            cause: ExitCause::Killed,
        };
        let log = [
            entry(10, LogEvent::Stopped { who }),
            entry(12, killed),
            entry(13, LogEvent::Restarted { who: other }),
            entry(14, LogEvent::Restarted { who }),
            entry(30, LogEvent::Stopped { who }),
        ];

        let outages = Outages::of(who, &log);
        assert!(!outages.overlap(at(1), at(9)));
        assert!(outages.overlap(at(1), at(10)));
        assert!(outages.overlap(at(13), at(13)));
        assert!(outages.overlap(at(14), at(20)));
        assert!(!outages.overlap(at(15), at(29)));
        assert!(outages.overlap(at(40), at(41)));
        assert!(!Outages::of(other, &log).overlap(at(0), at(99)));
    }
}
