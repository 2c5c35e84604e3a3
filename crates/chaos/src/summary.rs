//! The numbers of one run, as `summary.json` holds them.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::audit::AuditVerdict;
use crate::cli::RunArgs;
use crate::environment::Environment;
use crate::fault_log::{self, ExitCause, LogEntry, LogEvent};
use crate::outages::Outages;
use crate::recovery::{Recovery, recoveries};
use crate::storm_record::{self, ANSWER_WITHIN_MS, REQUEST_TIMEOUT, Request, UNAVAILABLE};
use crate::target::{Program, Victim};

#[derive(Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) seed: u64,
    pub(crate) seconds: u64,
    pub(crate) webhooks_per_second: u32,
    /// The books balance, no work is left, no program ended by itself, and every ingress that was
    /// running answered in time.
    pub(crate) passed: bool,
    pub(crate) faults: u64,
    /// Faults whose target was down already.
    pub(crate) faults_missed: u64,
    pub(crate) killed_by_others: u64,
    pub(crate) ended_by_themselves: u64,
    pub(crate) answers: Answers,
    pub(crate) balanced: bool,
    /// What spools and queues still hold.
    pub(crate) left_behind: Vec<String>,
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) protocol_errors: u64,
    pub(crate) kinds: BTreeMap<String, KindTotals>,
    pub(crate) recoveries: Vec<Recovery>,
    /// The summary of `risiti-load audit`.
    pub(crate) audit: Value,
}

#[derive(Serialize, Deserialize, Default, PartialEq, Debug)]
pub(crate) struct Answers {
    pub(crate) requests: u64,
    pub(crate) answered_200: u64,
    /// How many of these the spool took, as far as the ingresses' metrics could be read.
    pub(crate) spooled: u64,
    pub(crate) refused: u64,
    pub(crate) unavailable: u64,
    /// Authentic webhooks that got 503 from an ingress that ran all the while and whose spool had
    /// room.
    #[serde(default)]
    pub(crate) needlessly_unavailable: u64,
    pub(crate) unanswered: u64,
    /// Answers 408 from an ingress that ran all the while.
    pub(crate) hurried_by_live: u64,
    /// Answers later than promised from an ingress that ran all the while.
    pub(crate) late_from_live: u64,
    /// Answers later than promised from an ingress that was killed or frozen meanwhile.
    pub(crate) late_from_struck: u64,
    pub(crate) slowest_from_live_ms: u64,
}

/// All faults of one kind.
#[derive(Serialize, Deserialize, Default)]
pub(crate) struct KindTotals {
    pub(crate) times: u64,
    pub(crate) troubled: u64,
    pub(crate) recovery_ms_median: u64,
    pub(crate) recovery_ms_max: u64,
}

impl Summary {
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let file =
            File::open(path).with_context(|| format!("failed to open {}", path.display()))?;
        serde_json::from_reader(file)
            .with_context(|| format!("{} is not a summary of a run", path.display()))
    }

    pub(crate) fn of(
        environment: &Environment,
        args: &RunArgs,
        verdict: AuditVerdict,
        left_behind: Vec<String>,
    ) -> anyhow::Result<Self> {
        let dir = &environment.dir;
        let log = fault_log::read(&dir.join("faults.jsonl"))?;
        let requests = storm_record::read(&dir.join("record.jsonl"))?;
        let audit: Value = serde_json::from_reader(File::open(dir.join("audit.json"))?)?;

        let recoveries = recoveries(&log, &requests);
        let answers = Answers {
            spooled: environment.spooled.get(),
            ..count_answers(&requests, &log)
        };
        let balanced = verdict == AuditVerdict::Balanced;
        let ended_by_themselves = count_exits(&log, ExitCause::ByItself);
        let missed = |entry: &&LogEntry| matches!(entry.event, LogEvent::Missed { .. });
        let number = |value: &Value| value.as_u64().context("the audit lacks a number");

        Ok(Self {
            seed: environment.seed,
            seconds: args.plan.seconds,
            webhooks_per_second: args.rate,
            passed: balanced
                && ended_by_themselves == 0
                && left_behind.is_empty()
                && answers.are_in_time(),
            faults: recoveries.len() as u64,
            faults_missed: log.iter().filter(missed).count() as u64,
            killed_by_others: count_exits(&log, ExitCause::Killed),
            ended_by_themselves,
            answers,
            balanced,
            left_behind,
            lost: number(&audit["lost"])?,
            doubled: number(&audit["doubled"])?,
            protocol_errors: number(&audit["laws"]["manners"])?,
            kinds: totals_by_kind(&recoveries),
            recoveries,
            audit,
        })
    }
}

fn count_exits(log: &[LogEntry], wanted: ExitCause) -> u64 {
    let exits = log
        .iter()
        .filter(|entry| matches!(entry.event, LogEvent::Exited { cause, .. } if cause == wanted));
    exits.count() as u64
}

impl Answers {
    fn are_in_time(&self) -> bool {
        self.late_from_live == 0 && self.hurried_by_live == 0
    }
}

fn count_answers(requests: &[Request], log: &[LogEntry]) -> Answers {
    let outages = Program::INGRESSES.map(|ingress| Outages::of(Victim::Program(ingress), log));
    let full = Program::INGRESSES.map(|ingress| Outages::of_spool(ingress, log));
    let mut answers = Answers::default();

    for request in requests {
        answers.requests += 1;
        match request.status {
            Some(200) => answers.answered_200 += 1,
            // After a freeze an ingress finds that the body took too long.
            Some(UNAVAILABLE | REQUEST_TIMEOUT) => answers.unavailable += 1,
            Some(_) => answers.refused += 1,
            None => answers.unanswered += 1,
        }

        let was_struck = outages[request.to].overlap(request.at, request.ended());
        let is_late = request.ms > ANSWER_WITHIN_MS;
        let was_keepable = request.authentic
            && !was_struck
            && !full[request.to].overlap(request.at, request.ended());
        answers.needlessly_unavailable +=
            u64::from(was_keepable && request.status == Some(UNAVAILABLE));
        if was_struck {
            answers.late_from_struck += u64::from(is_late);
        } else {
            answers.late_from_live += u64::from(is_late);
            answers.hurried_by_live += u64::from(request.status == Some(REQUEST_TIMEOUT));
            answers.slowest_from_live_ms = answers.slowest_from_live_ms.max(request.ms);
        }
    }
    answers
}

fn totals_by_kind(recoveries: &[Recovery]) -> BTreeMap<String, KindTotals> {
    let mut by_kind: BTreeMap<String, Vec<&Recovery>> = BTreeMap::new();
    for recovery in recoveries {
        by_kind
            .entry(recovery.fault.kind.label())
            .or_default()
            .push(recovery);
    }

    let totals = |recoveries: Vec<&Recovery>| {
        let mut ms: Vec<u64> = recoveries
            .iter()
            .map(|recovery| recovery.recovery_ms)
            .collect();
        ms.sort_unstable();
        KindTotals {
            times: ms.len() as u64,
            troubled: recoveries.iter().map(|recovery| recovery.troubled).sum(),
            recovery_ms_median: ms[ms.len() / 2],
            recovery_ms_max: ms[ms.len() - 1],
        }
    };
    by_kind
        .into_iter()
        .map(|(label, recoveries)| (label, totals(recoveries)))
        .collect()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::fault::{Fault, FaultKind};

    #[test]
    fn late_answers_of_a_frozen_ingress_count_apart() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let who = Victim::Program(Program::Ingress2);
        let log = [
            LogEntry {
                at: at(10),
                event: LogEvent::Stopped { who },
            },
            LogEntry {
                at: at(20),
                event: LogEvent::Resumed { who },
            },
        ];
        let request = |to, second, ms, status: Option<u16>| Request {
            to,
            status,
            at: at(second),
            ms,
            authentic: status != Some(401),
            answered_well: status == Some(200),
        };
        let requests = [
            request(1, 12, 8000, Some(200)),
            request(0, 12, 3001, Some(503)),
            request(1, 40, 3000, Some(200)),
            request(1, 15, 9000, None),
            request(0, 50, 1, Some(401)),
            request(0, 51, 1, Some(408)),
        ];
        let expected = Answers {
            requests: 6,
            answered_200: 2,
            refused: 1,
            unavailable: 2,
            needlessly_unavailable: 1,
            unanswered: 1,
            hurried_by_live: 1,
            late_from_live: 1,
            late_from_struck: 2,
            slowest_from_live_ms: 3001,
            spooled: 0,
        };
        assert_eq!(count_answers(&requests, &log), expected);
        assert!(!expected.are_in_time());
        assert!(count_answers(&requests[2..5], &log).are_in_time());
    }

    #[test]
    fn refusal_by_a_full_spool_is_not_needless() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let fault = Fault {
            number: 1,
            at_ms: 0,
            lasts_ms: 10_000,
            kind: FaultKind::SpoolFull,
        };
        let log = [
            LogEntry {
                at: at(10),
                event: LogEvent::Begun { fault },
            },
            LogEntry {
                at: at(20),
                event: LogEvent::Ended { fault },
            },
        ];
        let refused = |to, second| Request {
            to,
            status: Some(UNAVAILABLE),
            at: at(second),
            ms: 5,
            authentic: true,
            answered_well: false,
        };
        let needless = |request| count_answers(&[request], &log).needlessly_unavailable;
        assert_eq!(needless(refused(1, 15)), 0);
        assert_eq!(needless(refused(0, 15)), 1);
        assert_eq!(needless(refused(1, 30)), 1);
    }
}
