//! Fault rules: which calls go wrong, and how. Which one is hit depends only on the rule's
//! seed and on how many calls of that device the rule has seen, never on thread timing.

use crate::books::Branch;
use crate::draw;
use crate::routes::Call;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// Rules kept at once.
const MAX_RULES: usize = 1000;

/// Devices a rule counts apart; the calls of any further ones are counted together.
const MAX_COUNTED: usize = 20_000;

/// Which calls a rule is about. Absent parts match everything.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Match {
    /// `tin` or `tin/bhfId`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallMatch>,
    /// Leave this many matching calls alone first.
    #[serde(default)]
    pub skip: u64,
    /// Every nth of the calls that match otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_nth: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    #[serde(default)]
    pub seed: u64,
    /// Hits after which the rule is spent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trader_number: Option<String>,
    /// `totAmt`, compared as a number: `"1160"` is `1160.00`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Decimal>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CallMatch {
    Any,
    #[serde(untagged)]
    Only(Call),
}

/// What goes wrong. `accept` processes the request all the same before answering wrongly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Fault {
    /// Processed, then the connection is cut without a byte of answer.
    AcceptThenDrop,
    /// The connection is cut, nothing is processed.
    DropBeforeAccept,
    /// The connection is cut after `hold_ms`, and the sale is processed `ms` after it came.
    DeliverLate {
        ms: u64,
        #[serde(default)]
        hold_ms: u64,
    },
    /// The accepted sale stays invisible to look-ups for a time or for a number of look-ups.
    LookupLag {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ms: Option<u64>,
        #[serde(default)]
        count: u32,
    },
    /// Processed at once, answered `ms` later.
    Slow { ms: u64 },
    Status {
        code: u16,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<u64>,
        #[serde(default)]
        accept: bool,
    },
    /// A page instead of JSON.
    Html {
        #[serde(default = "ok")]
        status: u16,
        #[serde(default)]
        accept: bool,
    },
    /// A result code, or on the gateway without `code` a bare text.
    Envelope {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<String>,
        #[serde(default)]
        message: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        #[serde(default)]
        accept: bool,
    },
    /// A refusal that HTTP calls a success.
    RefusedUnder200 { message: String },
    /// The token of this call is over (gateway).
    ExpiredToken,
    /// `"curRcptNo "` and `"totRcptNo "`.
    BlankPaddedKeys,
    /// From the first matching call on nothing works for `ms`: the connection is cut, or `status` answered.
    DownFor {
        ms: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
    },
}

impl Fault {
    /// As rules spell it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::AcceptThenDrop => "accept_then_drop",
            Self::DropBeforeAccept => "drop_before_accept",
            Self::DeliverLate { .. } => "deliver_late",
            Self::LookupLag { .. } => "lookup_lag",
            Self::Slow { .. } => "slow",
            Self::Status { .. } => "status",
            Self::Html { .. } => "html",
            Self::Envelope { .. } => "envelope",
            Self::RefusedUnder200 { .. } => "refused_under_200",
            Self::ExpiredToken => "expired_token",
            Self::BlankPaddedKeys => "blank_padded_keys",
            Self::DownFor { .. } => "down_for",
        }
    }

    /// Whether the caller cannot know what became of its request.
    pub(crate) fn leaves_unknown(&self) -> bool {
        match self {
            Self::AcceptThenDrop | Self::DropBeforeAccept | Self::DeliverLate { .. } | Self::Html { .. } => {
                true
            }
            Self::Status { code, .. } => *code >= 500 || *code == 408,
            Self::DownFor { status, .. } => status.is_none_or(|code| code >= 500),
            _ => false,
        }
    }
}

fn ok() -> u16 {
    200
}

/// A rule as it was posted.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    #[serde(rename = "match", default)]
    pub matching: Match,
    pub fault: Fault,
}

/// A rule with its counters, as `GET /_sim/faults` shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Posted {
    id: u64,
    #[serde(flatten)]
    rule: Rule,
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
pub(crate) struct Subject {
    pub(crate) call: Call,
    pub(crate) branch: Option<Branch>,
    pub(crate) remark: Option<String>,
    pub(crate) trader_no: Option<String>,
    pub(crate) amount: Option<Decimal>,
}

/// The faults of one call: at most one of each kind, the oldest rule first.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) outcome: Option<Fault>,
    pub(crate) slow: Option<Duration>,
    /// Time and number of look-ups for which the sale is hidden.
    pub(crate) lag: Option<(Option<Duration>, u32)>,
    pub(crate) padded: bool,
}

#[derive(Default)]
pub(crate) struct Faults {
    rules: BTreeMap<u64, Posted>,
    last_id: u64,
}

impl Faults {
    /// The new rule's id, or nothing when there are too many.
    pub(crate) fn add(&mut self, rule: Rule) -> Option<u64> {
        if self.rules.len() >= MAX_RULES {
            return None;
        }
        self.last_id += 1;
        let id = self.last_id;
        let posted = Posted { id, rule, seen: 0, hits: 0, per_device: HashMap::new(), down_until: None };
        self.rules.insert(id, posted);
        Some(id)
    }

    pub(crate) fn list(&self) -> Vec<Posted> {
        self.rules.values().cloned().collect()
    }

    pub(crate) fn remove(&mut self, id: u64) -> bool {
        self.rules.remove(&id).is_some()
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    /// Decides what goes wrong with this call, and counts it.
    pub(crate) fn plan(&mut self, subject: &Subject) -> Plan {
        let mut plan = Plan::default();
        for posted in self.rules.values_mut() {
            let free = match posted.rule.fault {
                Fault::Slow { .. } => plan.slow.is_none(),
                Fault::LookupLag { .. } => plan.lag.is_none(),
                Fault::BlankPaddedKeys => !plan.padded,
                _ => plan.outcome.is_none(),
            };
            if free && posted.hits(subject) {
                plan.take(&posted.rule.fault);
            }
        }
        plan
    }
}

impl Plan {
    fn take(&mut self, fault: &Fault) {
        match fault {
            Fault::Slow { ms } => self.slow = Some(Duration::from_millis(*ms)),
            Fault::LookupLag { ms, count } => self.lag = Some((ms.map(Duration::from_millis), *count)),
            Fault::BlankPaddedKeys => self.padded = true,
            fault => self.outcome = Some(fault.clone()),
        }
    }
}

impl Posted {
    fn hits(&mut self, subject: &Subject) -> bool {
        if self.down_until.is_some_and(|until| Instant::now() < until) {
            return true;
        }
        if !self.rule.matches(subject) || self.rule.matching.count.is_some_and(|count| self.hits >= count) {
            return false;
        }
        self.seen += 1;
        if self.seen <= self.rule.matching.skip {
            return false;
        }
        let nth = self.rule.matching.every_nth.unwrap_or(1).max(1);
        if !(self.seen - self.rule.matching.skip).is_multiple_of(nth) || !self.drawn(subject) {
            return false;
        }
        self.hits += 1;
        if let Fault::DownFor { ms, .. } = self.rule.fault {
            self.down_until = Some(Instant::now() + Duration::from_millis(ms));
        }
        true
    }

    fn drawn(&mut self, subject: &Subject) -> bool {
        let Some(probability) = self.rule.matching.probability else { return true };
        let known = self.per_device.len() < MAX_COUNTED || self.per_device.contains_key(&subject.branch);
        let device = if known { subject.branch.clone() } else { None };
        let name = device.as_ref().map(ToString::to_string).unwrap_or_default();
        let calls = self.per_device.entry(device).or_default();
        *calls += 1;
        draw::unit(self.rule.matching.seed, &["fault", &name, &calls.to_string()]) < probability
    }
}

impl Rule {
    fn matches(&self, subject: &Subject) -> bool {
        let wanted = &self.matching;
        let same = |wanted: &Option<String>, found: &Option<String>| wanted.is_none() || wanted == found;
        self.suits(subject.call)
            && wanted.device.as_ref().is_none_or(|device| {
                let named = |branch: &Branch| branch.tin == *device || branch.to_string() == *device;
                subject.branch.as_ref().is_some_and(named)
            })
            && same(&wanted.remark, &subject.remark)
            && same(&wanted.trader_number, &subject.trader_no)
            && wanted.amount.is_none_or(|amount| subject.amount == Some(amount))
    }

    /// A rule that names no call takes those its fault makes sense for.
    fn suits(&self, call: Call) -> bool {
        let sensible = match self.fault {
            Fault::DeliverLate { .. } | Fault::BlankPaddedKeys => call == Call::Sale,
            Fault::LookupLag { .. } => matches!(call, Call::Sale | Call::Lookup),
            Fault::ExpiredToken => call != Call::Token,
            _ => true,
        };
        let named = match self.matching.call {
            Some(CallMatch::Only(only)) => only == call,
            Some(CallMatch::Any) | None => {
                !matches!(self.fault, Fault::LookupLag { .. }) || call == Call::Sale
            }
        };
        sensible && named
    }
}
