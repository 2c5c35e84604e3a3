//! The faults: what can go wrong with a call.

use serde::{Deserialize, Serialize};

/// What goes wrong with a call. With `accept` the call is handled all the same before the wrong
/// answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Fault {
    /// The call is handled, then the connection is cut without a byte of answer.
    AcceptThenDrop,
    /// The connection is cut and the call is not handled.
    DropBeforeAccept,
    /// The connection is cut after `hold_ms`, and the call is handled `ms` after it came.
    DeliverLate {
        ms: u64,
        #[serde(default)]
        hold_ms: u64,
    },
    /// The accepted sale is hidden from look-ups, for a time or for a number of look-ups. Of a
    /// look-up, that it finds nothing.
    LookupLag {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ms: Option<u64>,
        #[serde(default)]
        count: u32,
    },
    /// The call is handled at once and answered `ms` later.
    Slow { ms: u64 },
    /// This HTTP status.
    Status {
        code: u16,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<u64>,
        #[serde(default)]
        accept: bool,
    },
    /// An HTML page instead of JSON.
    Html {
        #[serde(default = "status_ok")]
        status: u16,
        #[serde(default)]
        accept: bool,
    },
    /// A result code. Without `code` the gateway answers with a bare text.
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
    /// A refusal under HTTP status 200.
    #[serde(rename = "refused_under_200")]
    RefusedUnder200 { message: String },
    /// The token of this call expires now (gateway).
    ExpiredToken,
    /// The gateway has not wired the path for the app.
    UnwiredPath,
    /// The receipt has the keys `"curRcptNo "` and `"totRcptNo "`, which end with a blank.
    BlankPaddedKeys,
    /// From the first matching call on, the whole host is down for `ms`. Connections are cut, or
    /// answered with `status`.
    DownFor {
        ms: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
    },
}

impl Fault {
    /// The name of the fault in rules and in `stats`.
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
            Self::UnwiredPath => "unwired_path",
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
            | Self::UnwiredPath
            | Self::Html { .. } => true,
            Self::Status { code, .. } => *code >= 500 || *code == 408,
            Self::DownFor { status, .. } => status.is_none_or(|code| code >= 500),
            _ => false,
        }
    }
}

fn status_ok() -> u16 {
    200
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The faults as the table of the README writes them.
    fn documented() -> Vec<&'static str> {
        let readme = include_str!("../../README.md");
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
    fn readme_lists_every_fault_and_no_other() {
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
                "unwired_path",
                "blank_padded_keys",
                "down_for",
            ]
        );
    }

    #[test]
    fn fault_names_are_those_used_in_rules() {
        for text in documented() {
            let fault: Fault = serde_json::from_str(text).unwrap();
            let written = serde_json::to_string(&fault).unwrap();
            assert!(
                written.contains(&format!("\"{}\"", fault.name())),
                "{written}"
            );
        }
    }
}
