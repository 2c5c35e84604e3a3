//! The fault script decides which calls go wrong. What a rule hits depends on its seed and on the
//! calls that it has seen, and not on time.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::branch::Branch;
use crate::faults::fault::Fault;
use crate::faults::rule::{CallDetails, FaultRule};
use crate::seeded;

/// Bound on the rules at once.
const MAX_RULES: usize = 1000;

/// Bound on the devices whose calls a rule counts separately. The calls of any further devices are
/// counted together.
const MAX_COUNTED_DEVICES: usize = 20_000;

#[derive(Default)]
pub(crate) struct FaultScript {
    rules: BTreeMap<u64, ActiveRule>,
    last_id: u64,
}

/// A rule with its counters, as `GET /_sim/faults` shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ActiveRule {
    id: u64,
    #[serde(flatten)]
    rule: FaultRule,
    /// Calls that matched by device, call and contents.
    seen: u64,
    hits: u64,
    #[serde(skip)]
    calls_per_device: HashMap<Option<Branch>, u64>,
    #[serde(skip)]
    down_until: Option<Instant>,
}

/// The faults of one call. There is at most one of each kind, of the oldest rule that hits.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct FaultPlan {
    /// What happens instead of the right handling or the right answer.
    pub(crate) failure: Option<Fault>,
    /// Time that passes before the answer, in addition to the latency.
    pub(crate) delay: Option<Duration>,
    pub(crate) lookup_lag: Option<LookupLag>,
    pub(crate) padded_keys: bool,
}

/// How long an accepted sale is hidden from look-ups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LookupLag {
    pub(crate) time: Option<Duration>,
    pub(crate) look_ups: u32,
}

impl FaultScript {
    /// Adds a rule and returns its id, or `None` when there are too many rules.
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
            calls_per_device: HashMap::new(),
            down_until: None,
        };
        self.rules.insert(id, active);
        Some(id)
    }

    pub(crate) fn list(&self) -> Vec<ActiveRule> {
        self.rules.values().cloned().collect()
    }

    /// Removes a rule, and returns it if there was one with this id.
    pub(crate) fn remove(&mut self, id: u64) -> Option<ActiveRule> {
        self.rules.remove(&id)
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    /// Decides what goes wrong with this call. A rule does not see the call when an older rule has
    /// already planned a fault of the same kind.
    pub(crate) fn plan(&mut self, details: &CallDetails) -> FaultPlan {
        let mut plan = FaultPlan::default();
        for active in self.rules.values_mut() {
            if plan.has_room_for(&active.rule.fault) && active.hit(details) {
                plan.add(&active.rule.fault);
            }
        }
        plan
    }
}

impl FaultPlan {
    fn has_room_for(&self, fault: &Fault) -> bool {
        match fault {
            Fault::Slow { .. } => self.delay.is_none(),
            Fault::LookupLag { .. } => self.lookup_lag.is_none(),
            Fault::BlankPaddedKeys => !self.padded_keys,
            _ => self.failure.is_none(),
        }
    }

    fn add(&mut self, fault: &Fault) {
        match fault {
            Fault::Slow { ms } => self.delay = Some(Duration::from_millis(*ms)),
            Fault::LookupLag { ms, count } => {
                self.lookup_lag = Some(LookupLag {
                    time: ms.map(Duration::from_millis),
                    look_ups: *count,
                });
            }
            Fault::BlankPaddedKeys => self.padded_keys = true,
            fault => self.failure = Some(fault.clone()),
        }
    }
}

impl ActiveRule {
    /// Counts a call, and decides whether the rule hits it.
    fn hit(&mut self, details: &CallDetails) -> bool {
        // A host that is down answers nobody, so the call need not match.
        if self.down_until.is_some_and(|until| Instant::now() < until) {
            return true;
        }
        let matching = &self.rule.matching;
        let spent = self.rule.hits_max().is_some_and(|count| self.hits >= count);
        if spent || !self.rule.matches(details) {
            return false;
        }

        self.seen += 1;
        if self.seen <= matching.skip {
            return false;
        }
        let every_nth = matching.every_nth.unwrap_or(1).max(1);
        let nth = (self.seen - matching.skip).is_multiple_of(every_nth);
        if !nth || !self.draw(details) {
            return false;
        }

        self.hits += 1;
        if let Fault::DownFor { ms, .. } = self.rule.fault {
            self.down_until = Some(Instant::now() + Duration::from_millis(ms));
        }
        true
    }

    /// Draws by the rule's probability. The draw depends on the seed, the device and the number of
    /// its calls, so that a run repeats whatever the order of other devices' calls.
    fn draw(&mut self, details: &CallDetails) -> bool {
        let Some(probability) = self.rule.matching.probability else {
            return true;
        };
        let counted = self.calls_per_device.len() < MAX_COUNTED_DEVICES
            || self.calls_per_device.contains_key(&details.branch);
        let device = details.branch.clone().filter(|_| counted);
        let name = device.as_ref().map(ToString::to_string).unwrap_or_default();
        let calls = self.calls_per_device.entry(device).or_default();
        *calls += 1;

        let parts = ["fault", &name, &calls.to_string()];
        seeded::fraction(self.rule.matching.seed, &parts) < probability
    }
}
