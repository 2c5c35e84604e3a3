//! What `risiti-load storm` wrote down: every request and its answer.

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
    /// A request with another right answer than 200.
    Stray {
        story: u64,
        status: u16,
    },
    Sent(Sent),
    Skipped {},
}

#[derive(Deserialize)]
struct Sent {
    story: u64,
    /// Which ingress.
    to: usize,
    status: Option<u16>,
    at: Timestamp,
    ms: u64,
}

/// One request, as far as faults can be seen in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) to: usize,
    pub(crate) status: Option<u16>,
    pub(crate) at: Timestamp,
    pub(crate) ms: u64,
    pub(crate) answered_well: bool,
}

/// A request that took longer was delayed by something.
pub(crate) const DELAYED_MS: u64 = 1000;
/// In which every webhook is answered.
pub(crate) const PROMISED_MS: u64 = 3000;

/// The body did not come in time.
pub(crate) const HURRIED: u16 = 408;

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

/// In the order of their answers; a few tens of bytes each.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<Request>> {
    let file = File::open(path).with_context(|| format!("failed to open {}", path.display()))?;
    let (mut requests, mut right_answers) = (Vec::new(), HashMap::new());
    for line in BufReader::new(file).lines() {
        match serde_json::from_str(&line?)? {
            Line::Payment {} | Line::Skipped {} => {}
            Line::Stray { story, status } => {
                right_answers.insert(story, status);
            }
            Line::Sent(Sent {
                story,
                to,
                status,
                at,
                ms,
            }) => {
                let right = right_answers.get(&story).copied().unwrap_or(200);
                requests.push(Request {
                    to,
                    status,
                    at,
                    ms,
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
    fn a_stray_is_answered_well_when_it_is_refused() {
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
    }
}
