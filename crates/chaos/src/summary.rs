//! One run in numbers: `summary.json`.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cli::RunArgs;
use crate::diary::{self, Entry, Event, Exit};
use crate::outages::Outages;
use crate::programme::{Program, Victim};
use crate::record::{self, PROMISED_MS, Request};
use crate::recovery::{Recovery, recoveries};
use crate::run::Scene;

#[derive(Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) seed: u64,
    pub(crate) seconds: u64,
    pub(crate) webhooks_per_second: u32,
    /// The books balance, nothing is left on its way, nothing ended by itself, and whoever lived answered in time.
    pub(crate) passed: bool,
    pub(crate) faults: u64,
    /// Of things that were down already.
    pub(crate) faults_missed: u64,
    pub(crate) killed_by_others: u64,
    pub(crate) ended_by_themselves: u64,
    pub(crate) answers: Answers,
    pub(crate) balanced: bool,
    /// In spools and queues.
    pub(crate) left_behind: Vec<String>,
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) protocol_errors: u64,
    pub(crate) kinds: BTreeMap<String, Kind>,
    pub(crate) recoveries: Vec<Recovery>,
    /// The whole audit.
    pub(crate) audit: Value,
}

#[derive(Serialize, Deserialize, Default, PartialEq, Debug)]
pub(crate) struct Answers {
    pub(crate) requests: u64,
    pub(crate) answered_200: u64,
    /// Of these, kept by the spool, as far as the metrics of ingresses could be asked.
    pub(crate) spooled: u64,
    pub(crate) refused: u64,
    pub(crate) unavailable: u64,
    pub(crate) unanswered: u64,
    /// 408, from an ingress that lived and ran all the while.
    pub(crate) hurried_by_live: u64,
    /// Later than promised, from an ingress that lived and ran all the while.
    pub(crate) late_from_live: u64,
    pub(crate) late_from_struck: u64,
    pub(crate) slowest_from_live_ms: u64,
}

#[derive(Serialize, Deserialize, Default)]
pub(crate) struct Kind {
    pub(crate) times: u64,
    pub(crate) troubled: u64,
    pub(crate) recovery_ms_median: u64,
    pub(crate) recovery_ms_max: u64,
}

impl Summary {
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let file =
            File::open(path).with_context(|| format!("failed to open {}", path.display()))?;
        serde_json::from_reader(file).with_context(|| format!("{} is no summary", path.display()))
    }

    pub(crate) fn of(
        scene: &Scene,
        args: &RunArgs,
        balanced: bool,
        left_behind: Vec<String>,
    ) -> anyhow::Result<Self> {
        let diary = diary::read(&scene.dir.join("faults.jsonl"))?;
        let requests = record::read(&scene.dir.join("record.jsonl"))?;
        let audit: Value = serde_json::from_reader(File::open(scene.dir.join("audit.json"))?)?;
        let recoveries = recoveries(&diary, &requests);
        let answers = Answers {
            spooled: scene.spooled.get(),
            ..answers(&requests, &diary)
        };
        let count = |matches: fn(&Event) -> bool| -> u64 {
            diary
                .iter()
                .map(|entry| u64::from(matches(&entry.event)))
                .sum()
        };
        let number = |value: &Value| value.as_u64().context("the audit is not as expected");
        let ended_by_themselves = count(|event| {
            matches!(
                event,
                Event::Gone {
                    how: Exit::ByItself,
                    ..
                }
            )
        });
        Ok(Self {
            seed: scene.seed,
            seconds: args.plan.seconds,
            webhooks_per_second: args.rate,
            passed: balanced
                && ended_by_themselves == 0
                && left_behind.is_empty()
                && answers.kept_promises(),
            faults: recoveries.len() as u64,
            faults_missed: count(|event| matches!(event, Event::Missed { .. })),
            killed_by_others: count(|event| {
                matches!(
                    event,
                    Event::Gone {
                        how: Exit::Killed,
                        ..
                    }
                )
            }),
            ended_by_themselves,
            answers,
            balanced,
            left_behind,
            lost: number(&audit["lost"])?,
            doubled: number(&audit["doubled"])?,
            protocol_errors: number(&audit["laws"]["manners"])?,
            kinds: kinds(&recoveries),
            recoveries,
            audit,
        })
    }
}

impl Answers {
    fn kept_promises(&self) -> bool {
        self.late_from_live == 0 && self.hurried_by_live == 0
    }
}

fn answers(requests: &[Request], diary: &[Entry]) -> Answers {
    let outages = Program::INGRESSES.map(|ingress| Outages::of(Victim::Program(ingress), diary));
    let mut answers = Answers::default();
    for request in requests {
        answers.requests += 1;
        match request.status {
            Some(200) => answers.answered_200 += 1,
            // One that was frozen finds that the body took too long.
            Some(503 | record::HURRIED) => answers.unavailable += 1,
            Some(_) => answers.refused += 1,
            None => answers.unanswered += 1,
        }
        let struck = outages[request.to].touch(request.at, request.ended());
        answers.hurried_by_live += u64::from(request.status == Some(record::HURRIED) && !struck);
        if !struck {
            answers.slowest_from_live_ms = answers.slowest_from_live_ms.max(request.ms);
        }
        if request.ms > PROMISED_MS {
            *(if struck {
                &mut answers.late_from_struck
            } else {
                &mut answers.late_from_live
            }) += 1;
        }
    }
    answers
}

fn kinds(recoveries: &[Recovery]) -> BTreeMap<String, Kind> {
    let mut times: BTreeMap<String, Vec<&Recovery>> = BTreeMap::new();
    for recovery in recoveries {
        times
            .entry(recovery.fault.what.kind())
            .or_default()
            .push(recovery);
    }
    let kind = |recoveries: Vec<&Recovery>| {
        let mut ms: Vec<u64> = recoveries
            .iter()
            .map(|recovery| recovery.recovery_ms)
            .collect();
        ms.sort_unstable();
        Kind {
            times: ms.len() as u64,
            troubled: recoveries.iter().map(|recovery| recovery.troubled).sum(),
            recovery_ms_median: ms[ms.len() / 2],
            recovery_ms_max: ms[ms.len() - 1],
        }
    };
    times
        .into_iter()
        .map(|(name, recoveries)| (name, kind(recoveries)))
        .collect()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn what_a_frozen_ingress_answers_late_counts_apart() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let who = Victim::Program(Program::Ingress2);
        let diary = [
            Entry {
                at: at(10),
                event: Event::Stopped { who },
            },
            Entry {
                at: at(20),
                event: Event::GoesOn { who },
            },
        ];
        let request = |to, second, ms, status: Option<u16>| Request {
            to,
            status,
            at: at(second),
            ms,
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
            unanswered: 1,
            hurried_by_live: 1,
            late_from_live: 1,
            late_from_struck: 2,
            slowest_from_live_ms: 3001,
            spooled: 0,
        };
        assert_eq!(answers(&requests, &diary), expected);
        assert!(!expected.kept_promises());
        assert!(answers(&requests[2..5], &diary).kept_promises());
    }
}
