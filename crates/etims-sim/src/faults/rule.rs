//! A rule of the fault script: which calls it matches and the fault that hits them.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::branch::Branch;
use crate::config::Dialect;
use crate::faults::fault::Fault;
use crate::routes::Call;

/// Which calls a rule matches. Absent parts match everything.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleMatch {
    /// `tin` or `tin/bhfId`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallMatch>,
    /// How many matching calls are left alone first.
    #[serde(default)]
    pub skip: u64,
    /// Hits only every nth of the calls that match otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_nth: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    #[serde(default)]
    pub seed: u64,
    /// How often the rule hits before it is spent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trader_number: Option<String>,
    /// `totAmt`, compared as a number, so `"1160"` matches `1160.00`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Decimal>,
}

impl RuleMatch {
    /// Whether the rule is about a look-up, which then finds nothing.
    fn names_look_up(&self) -> bool {
        matches!(self.call, Some(CallMatch::Only(call)) if call.is_look_up())
    }
}

/// The calls that a rule names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CallMatch {
    Any,
    #[serde(untagged)]
    Only(Call),
}

/// What a rule can match of a call.
#[derive(Debug)]
pub(crate) struct CallDetails {
    pub(crate) call: Call,
    pub(crate) branch: Option<Branch>,
    pub(crate) remark: Option<String>,
    pub(crate) trader_number: Option<String>,
    pub(crate) amount: Option<Decimal>,
}

/// A rule as it was posted.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FaultRule {
    #[serde(rename = "match", default)]
    pub matching: RuleMatch,
    pub fault: Fault,
}

impl FaultRule {
    /// Refuses a rule that could never do anything. The error says what is wrong with it.
    pub(crate) fn check(&self, dialect: Dialect) -> Result<(), &'static str> {
        let wanted = &self.matching;
        if wanted
            .probability
            .is_some_and(|chance| !(0.0..=1.0).contains(&chance))
        {
            return Err("probability is between 0 and 1");
        }
        if wanted.every_nth == Some(0) {
            return Err("every_nth starts at 1");
        }
        match &self.fault {
            Fault::ExpiredToken if dialect != Dialect::Gateway => {
                Err("only the gateway has tokens")
            }
            Fault::UnwiredPath if dialect != Dialect::Gateway => {
                Err("only the gateway has paths that are not wired")
            }
            Fault::LookupLag { ms: None, count: 0 } if !wanted.names_look_up() => {
                Err("lookup_lag needs ms or count")
            }
            Fault::Status { code, .. } if !(200..600).contains(code) => {
                Err("status code is between 200 and 599")
            }
            _ => Ok(()),
        }
    }

    /// How often the rule hits before it is spent. A host goes down once, unless the rule says how
    /// often: after it came back, the next call would take it down again for ever.
    pub(crate) fn hits_max(&self) -> Option<u64> {
        let once = matches!(self.fault, Fault::DownFor { .. });
        self.matching.count.or(once.then_some(1))
    }

    /// Whether the call and its contents match. `skip`, `every_nth`, `probability` and `count` are
    /// the fault script's to decide.
    pub(crate) fn matches(&self, details: &CallDetails) -> bool {
        let wanted = &self.matching;
        let same =
            |wanted: &Option<String>, found: &Option<String>| wanted.is_none() || wanted == found;
        let device = wanted.device.as_ref().is_none_or(|device| {
            details
                .branch
                .as_ref()
                .is_some_and(|branch| branch.is_named(device))
        });
        let amount = wanted
            .amount
            .is_none_or(|amount| details.amount == Some(amount));
        self.suits(details.call)
            && device
            && amount
            && same(&wanted.remark, &details.remark)
            && same(&wanted.trader_number, &details.trader_number)
    }

    /// Whether the rule means this call. A rule without a call means those that its fault suits.
    fn suits(&self, call: Call) -> bool {
        let sensible = match self.fault {
            Fault::DeliverLate { .. } => call.is_write(),
            Fault::BlankPaddedKeys => call == Call::Sale,
            Fault::LookupLag { .. } => call == Call::Sale || call.is_look_up(),
            Fault::ExpiredToken => call != Call::Token,
            _ => true,
        };
        let named = match self.matching.call {
            Some(CallMatch::Only(only)) => only == call,
            // A look-up lags only where the rule names it. Otherwise the sale is hidden.
            Some(CallMatch::Any) | None => {
                !matches!(self.fault, Fault::LookupLag { .. }) || call == Call::Sale
            }
        };
        sensible && named
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readme_names_calls_that_exist() {
        let readme = include_str!("../../README.md");
        let row = readme.lines().find(|line| line.starts_with("| `call` |"));
        let names = row.unwrap().split('`').skip(1).step_by(2).skip(1);
        let mut count = 0;
        for name in names {
            let quoted = format!("\"{name}\"");
            let call: Result<CallMatch, _> = serde_json::from_str(&quoted);
            assert!(call.is_ok(), "{name}");
            count += 1;
        }
        // `any`, the 23 cases, and four that have no case.
        assert_eq!(count, 28);
    }

    #[test]
    fn rules_name_calls_as_stats_does() {
        let matching: RuleMatch = serde_json::from_str(r#"{"call":"sales_list"}"#).unwrap();
        assert_eq!(matching.call, Some(CallMatch::Only(Call::SalesList)));
        let any: RuleMatch = serde_json::from_str(r#"{"call":"any"}"#).unwrap();
        assert_eq!(any.call, Some(CallMatch::Any));
    }
}
