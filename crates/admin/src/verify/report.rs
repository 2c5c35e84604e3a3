//! The report on the steps of `device verify`, for the terminal, for programs, and as files to show
//! KRA.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::json;

use super::captures::Captures;

/// How a step went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Pass,
    Fail,
    Skip,
}

#[derive(Debug, Serialize)]
pub(crate) struct Step {
    step: &'static str,
    result: Verdict,
    detail: String,
}

#[derive(Debug)]
pub(crate) struct Report<'a> {
    folder: Option<&'a Path>,
    captures: Captures,
    steps: Vec<Step>,
}

impl<'a> Report<'a> {
    /// Makes the folder at once. A run whose captures cannot be written should not use up numbers.
    pub(crate) fn open(folder: Option<&'a Path>) -> Result<Self> {
        if let Some(folder) = folder {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        }
        Ok(Self {
            folder,
            captures: Captures::default(),
            steps: Vec::new(),
        })
    }

    /// Where the client's exchanges are collected.
    pub(crate) fn captures(&self) -> Captures {
        self.captures.clone()
    }

    /// Adds a step, and writes its file with everything that was sent and received since the step
    /// before.
    pub(crate) fn add(&mut self, step: &'static str, result: Verdict, detail: &str) -> Result<()> {
        self.steps.push(Step {
            step,
            result,
            detail: detail.to_owned(),
        });
        let exchanges = self.captures.take();
        let Some(folder) = self.folder else {
            return Ok(());
        };
        let name = format!("{}-{}.json", self.steps.len(), step.replace(' ', "-"));
        let capture =
            json!({ "step": step, "result": result, "detail": detail, "exchanges": exchanges });
        let path = folder.join(name);
        fs::write(&path, format!("{capture:#}\n"))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Whether the last step was reached and none failed.
    pub(crate) fn passed(&self) -> bool {
        self.steps
            .last()
            .is_some_and(|step| step.step == "credit note")
            && self.steps.iter().all(|step| step.result != Verdict::Fail)
    }

    pub(crate) fn text(&self) -> String {
        let line = |step: &Step| {
            let result = match step.result {
                Verdict::Pass => "pass",
                Verdict::Fail => "FAIL",
                Verdict::Skip => "skip",
            };
            format!("{result}  {:<18} {}", step.step, step.detail)
        };
        self.steps.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_passes_only_when_the_last_step_was_reached() {
        let mut report = Report::open(None).unwrap();
        report.add("token", Verdict::Skip, "").unwrap();
        report.add("sale", Verdict::Pass, "").unwrap();
        assert!(!report.passed());
        report.add("credit note", Verdict::Pass, "").unwrap();
        assert!(report.passed());
        report.add("credit note", Verdict::Fail, "").unwrap();
        assert!(!report.passed());
    }

    #[test]
    fn every_step_writes_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut report = Report::open(Some(folder.path())).unwrap();
        report.add("code list", Verdict::Pass, "read").unwrap();
        let text = fs::read_to_string(folder.path().join("1-code-list.json")).unwrap();
        assert!(text.contains("\"result\": \"pass\""), "{text}");
    }
}
