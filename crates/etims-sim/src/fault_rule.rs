//! The language of fault rules: which calls, and what goes wrong with them.

use crate::config::Dialect;
use crate::fault_script::CallDetails;
use crate::records::Branch;
use crate::routes::Call;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// Which calls a rule is about. Absent parts match everything.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleMatch {
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
    #[serde(rename = "refused_under_200")]
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
            Self::AcceptThenDrop
            | Self::DropBeforeAccept
            | Self::DeliverLate { .. }
            | Self::Html { .. } => true,
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
pub(crate) struct FaultRule {
    #[serde(rename = "match", default)]
    pub matching: RuleMatch,
    pub fault: Fault,
}

impl FaultRule {
    /// Refuses what could never do anything.
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
            Fault::LookupLag { ms: None, count: 0 }
                if wanted.call != Some(CallMatch::Only(Call::Lookup)) =>
            {
                Err("lookup_lag needs ms or count")
            }
            Fault::Status { code, .. } if !(200..600).contains(code) => {
                Err("status code is between 200 and 599")
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn matches(&self, details: &CallDetails) -> bool {
        let wanted = &self.matching;
        let same =
            |wanted: &Option<String>, found: &Option<String>| wanted.is_none() || wanted == found;
        self.suits(details.call)
            && wanted.device.as_ref().is_none_or(|device| {
                let named =
                    |branch: &Branch| branch.tin == *device || branch.to_string() == *device;
                details.branch.as_ref().is_some_and(named)
            })
            && same(&wanted.remark, &details.remark)
            && same(&wanted.trader_number, &details.trader_number)
            && wanted
                .amount
                .is_none_or(|amount| details.amount == Some(amount))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The spellings in the README's table of faults.
    fn documented() -> Vec<&'static str> {
        let readme = include_str!("../README.md");
        let table = readme.split("| `fault` | What happens |").nth(1).unwrap();
        let rows = table
            .lines()
            .skip(2)
            .take_while(|line| line.starts_with('|'));
        rows.flat_map(|row| {
            row.split(" | ")
                .next()
                .unwrap()
                .split('`')
                .skip(1)
                .step_by(2)
        })
        .collect()
    }

    #[test]
    fn every_fault_of_the_readme_is_one_and_every_fault_is_in_the_readme() {
        let mut names: Vec<_> = documented()
            .into_iter()
            .map(|text| {
                serde_json::from_str::<Fault>(text)
                    .unwrap_or_else(|error| panic!("{text}: {error}"))
                    .name()
            })
            .collect();
        names.dedup();
        assert_eq!(
            names,
            [
                "accept_then_drop",
                "drop_before_accept",
                "deliver_late",
                "lookup_lag",
                "slow",
                "status",
                "html",
                "envelope",
                "refused_under_200",
                "expired_token",
                "blank_padded_keys",
                "down_for",
            ]
        );
    }

    #[test]
    fn names_are_what_rules_are_written_with() {
        for text in documented() {
            let fault: Fault = serde_json::from_str(text).unwrap();
            let written = serde_json::to_string(&fault).unwrap();
            assert!(
                written.contains(&format!("\"{}\"", fault.name())),
                "{written}"
            );
        }
    }

    #[test]
    fn calls_are_named_as_in_stats() {
        let matching: RuleMatch = serde_json::from_str(r#"{"call":"sales_list"}"#).unwrap();
        assert_eq!(matching.call, Some(CallMatch::Only(Call::SalesList)));
        let any: RuleMatch = serde_json::from_str(r#"{"call":"any"}"#).unwrap();
        assert_eq!(any.call, Some(CallMatch::Any));
    }
}
