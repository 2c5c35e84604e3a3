//! The record that `risiti-load storm` writes: every request and its answer.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use anyhow::Context as _;
use jiff::Timestamp;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
enum Line {
    Payment {},
    /// A forged or malformed request, whose right answer is not 200.
    Stray {
        #[serde(rename = "story")]
        number: u64,
        status: u16,
    },
    Sent(Sent),
    Skipped {},
}

#[derive(Deserialize)]
struct Sent {
    #[serde(rename = "story")]
    number: u64,
    /// The index of the ingress.
    to: usize,
    status: Option<u16>,
    at: Timestamp,
    ms: u64,
}

/// The part of a request and its answer that shows the effect of faults.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) to: usize,
    pub(crate) status: Option<u16>,
    pub(crate) at: Timestamp,
    pub(crate) ms: u64,
    /// Neither forged nor malformed, so its right answer is 200.
    pub(crate) authentic: bool,
    pub(crate) answered_well: bool,
}

/// A request that took longer counts as delayed.
pub(crate) const DELAYED_MS: u64 = 1000;
/// Time within which every webhook is answered.
pub(crate) const ANSWER_WITHIN_MS: u64 = 3000;

/// The status of a request whose body did not arrive in time.
pub(crate) const REQUEST_TIMEOUT: u16 = 408;
/// The status of a webhook that was not kept.
pub(crate) const UNAVAILABLE: u16 = 503;

impl Request {
    pub(crate) fn is_troubled(&self) -> bool {
        !self.answered_well || self.ms > DELAYED_MS
    }

    pub(crate) fn ended(&self) -> Timestamp {
        let ms = i64::try_from(self.ms).unwrap_or(i64::MAX);
        self.at
            .saturating_add(jiff::SignedDuration::from_millis(ms))
            .unwrap_or(Timestamp::MAX)
    }
}

/// Reads all requests in the order of their answers. Each takes a few tens of bytes.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<Request>> {
    let file = File::open(path).with_context(|| format!("failed to open {}", path.display()))?;
    let mut requests = Vec::new();
    let mut right_answers = HashMap::new();
    for line in BufReader::new(file).lines() {
        match serde_json::from_str(&line?)? {
            Line::Payment {} | Line::Skipped {} => {}
            Line::Stray { number, status } => {
                right_answers.insert(number, status);
            }
            Line::Sent(Sent {
                number,
                to,
                status,
                at,
                ms,
            }) => {
                let right = right_answers.get(&number).copied().unwrap_or(200);
                requests.push(Request {
                    to,
                    status,
                    at,
                    ms,
                    authentic: right == 200,
                    answered_well: status == Some(right),
                });
            }
        }
    }
    Ok(requests)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stray_request_is_answered_well_when_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let sent = |story: u64, status: &str| {
            format!(
                r#"{{"line":"sent","story":{story},"message":0,"copy":1,"try":1,"to":1,"status":{status},"duplicate":false,"at":"2026-11-24T01:00:00Z","at_ms":0,"ms":5}}"#
            )
        };
        let lines = [
            r#"{"line":"payment","story":1,"merchant":"duka"}"#.to_owned(),
            r#"{"line":"stray","story":9,"merchant":"duka","status":401}"#.to_owned(),
            sent(1, "200"),
            sent(1, "null"),
            sent(9, "401"),
            sent(9, "200"),
            r#"{"line":"skipped","story":1,"message":0,"copy":2,"at_ms":1}"#.to_owned(),
        ];
        std::fs::write(file.path(), lines.join("\n")).unwrap();
        let requests = read(file.path()).unwrap();
        let well: Vec<bool> = requests
            .iter()
            .map(|request| request.answered_well)
            .collect();
        assert_eq!(well, [true, false, true, false]);
        assert!(requests[1].authentic && !requests[2].authentic);
    }
}
