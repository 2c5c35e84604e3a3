//! Fault rules at work: which calls go wrong. What a rule hits depends on its seed and on the
//! calls it has seen, not on time.

use crate::fault_rule::{Fault, FaultRule};
use crate::records::Branch;
use crate::routes::Call;
use crate::seeded;
use rust_decimal::Decimal;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// Rules kept at once.
const MAX_RULES: usize = 1000;

/// Devices a rule counts apart; the calls of any further ones are counted together.
const MAX_COUNTED: usize = 20_000;

/// A rule with its counters, as `GET /_sim/faults` shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ActiveRule {
    id: u64,
    #[serde(flatten)]
    rule: FaultRule,
    /// Calls that matched device, call and contents.
    seen: u64,
    hits: u64,
    #[serde(skip)]
    per_device: HashMap<Option<Branch>, u64>,
    #[serde(skip)]
    down_until: Option<Instant>,
}

/// What a rule may look at.
#[derive(Debug)]
pub(crate) struct CallDetails {
    pub(crate) call: Call,
    pub(crate) branch: Option<Branch>,
    pub(crate) remark: Option<String>,
    pub(crate) trader_number: Option<String>,
    pub(crate) amount: Option<Decimal>,
}

/// The faults of one call: at most one of each kind, the oldest rule first.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct FaultPlan {
    pub(crate) outcome: Option<Fault>,
    pub(crate) slow: Option<Duration>,
    /// Time and number of look-ups for which the sale is hidden.
    pub(crate) lag: Option<(Option<Duration>, u32)>,
    pub(crate) padded: bool,
}

#[derive(Default)]
pub(crate) struct FaultScript {
    rules: BTreeMap<u64, ActiveRule>,
    last_id: u64,
}

impl FaultScript {
    /// The new rule's id, or nothing when there are too many.
    pub(crate) fn add(&mut self, rule: FaultRule) -> Option<u64> {
        if self.rules.len() >= MAX_RULES {
            return None;
        }
        self.last_id += 1;
        let id = self.last_id;
        let active = ActiveRule {
            id,
            rule,
            seen: 0,
            hits: 0,
            per_device: HashMap::new(),
            down_until: None,
        };
        self.rules.insert(id, active);
        Some(id)
    }

    pub(crate) fn list(&self) -> Vec<ActiveRule> {
        self.rules.values().cloned().collect()
    }

    pub(crate) fn remove(&mut self, id: u64) -> bool {
        self.rules.remove(&id).is_some()
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    /// Decides what goes wrong with this call, and counts it.
    pub(crate) fn plan(&mut self, details: &CallDetails) -> FaultPlan {
        let mut plan = FaultPlan::default();
        for active in self.rules.values_mut() {
            let free = match active.rule.fault {
                Fault::Slow { .. } => plan.slow.is_none(),
                Fault::LookupLag { .. } => plan.lag.is_none(),
                Fault::BlankPaddedKeys => !plan.padded,
                _ => plan.outcome.is_none(),
            };
            if free && active.hits(details) {
                plan.take(&active.rule.fault);
            }
        }
        plan
    }
}

impl FaultPlan {
    fn take(&mut self, fault: &Fault) {
        match fault {
            Fault::Slow { ms } => self.slow = Some(Duration::from_millis(*ms)),
            Fault::LookupLag { ms, count } => {
                self.lag = Some((ms.map(Duration::from_millis), *count))
            }
            Fault::BlankPaddedKeys => self.padded = true,
            fault => self.outcome = Some(fault.clone()),
        }
    }
}

impl ActiveRule {
    fn hits(&mut self, details: &CallDetails) -> bool {
        if self.down_until.is_some_and(|until| Instant::now() < until) {
            return true;
        }
        if !self.rule.matches(details)
            || self
                .rule
                .matching
                .count
                .is_some_and(|count| self.hits >= count)
        {
            return false;
        }
        self.seen += 1;
        if self.seen <= self.rule.matching.skip {
            return false;
        }
        let nth = self.rule.matching.every_nth.unwrap_or(1).max(1);
        if !(self.seen - self.rule.matching.skip).is_multiple_of(nth) || !self.drawn(details) {
            return false;
        }
        self.hits += 1;
        if let Fault::DownFor { ms, .. } = self.rule.fault {
            self.down_until = Some(Instant::now() + Duration::from_millis(ms));
        }
        true
    }

    fn drawn(&mut self, details: &CallDetails) -> bool {
        let Some(probability) = self.rule.matching.probability else {
            return true;
        };
        let known =
            self.per_device.len() < MAX_COUNTED || self.per_device.contains_key(&details.branch);
        let device = if known { details.branch.clone() } else { None };
        let name = device.as_ref().map(ToString::to_string).unwrap_or_default();
        let calls = self.per_device.entry(device).or_default();
        *calls += 1;
        seeded::unit(
            self.rule.matching.seed,
            &["fault", &name, &calls.to_string()],
        ) < probability
    }
}
