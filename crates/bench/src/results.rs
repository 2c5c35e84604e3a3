//! What a run found: `results.json`.

use std::fs::File;
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::audit::Audit;
use crate::machine::Machine;

#[derive(Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) machine: Machine,
    /// Whether the long measurements had their full sizes.
    pub(crate) full: bool,
    pub(crate) rows: Vec<Row>,
    /// Measurements without a result, each with its reason.
    pub(crate) failed: Vec<Failure>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) measurement: String,
    pub(crate) why: String,
}

/// One line of the table.
#[derive(Serialize, Deserialize, Clone, Default)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) value: f64,
    /// The same measured at the yardstick, in the same unit.
    pub(crate) yardstick: Option<f64>,
    /// What the yardstick is.
    pub(crate) beside: Option<String>,
    pub(crate) ratio: Option<f64>,
    /// The aims in words.
    pub(crate) aim: Option<String>,
    /// Whether all aims are met. `None` for a row without an aim.
    pub(crate) met: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p50_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p99_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) yardstick_p50_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) yardstick_p99_ms: Option<f64>,
    /// CPU microseconds of the program for each request or event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cpu_us: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) yardstick_cpu_us: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) audit: Option<Audit>,
    /// Share of the machine's cores that processes outside this benchmark used meanwhile.
    #[serde(default)]
    pub(crate) others_cpu: f64,
    pub(crate) notes: Vec<String>,
}

/// What a row should reach.
#[derive(Clone, Copy)]
pub(crate) enum Aim {
    RatioAtLeast(f64),
    RatioAtMost(f64),
    ValueAtLeast(f64),
    ValueAtMost(f64),
}

impl Row {
    pub(crate) fn new(name: &str, unit: &str, value: f64) -> Self {
        Self {
            name: name.to_owned(),
            unit: unit.to_owned(),
            value,
            ..Self::default()
        }
    }

    pub(crate) fn against(mut self, beside: &str, yardstick: f64) -> Self {
        self.yardstick = Some(yardstick);
        self.beside = Some(beside.to_owned());
        self.ratio = (yardstick != 0.0).then(|| self.value / yardstick);
        self
    }

    pub(crate) fn aims(mut self, aims: &[Aim]) -> Self {
        let words: Vec<String> = aims.iter().map(|aim| aim.words()).collect();
        self.aim = Some(words.join(", "));
        self.met = Some(aims.iter().all(|aim| aim.is_met(&self)));
        self
    }

    pub(crate) fn audited(mut self, audit: Audit) -> Self {
        self.audit = Some(audit);
        self
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }
}

impl Aim {
    fn words(self) -> String {
        match self {
            Self::RatioAtLeast(limit) => format!("≥ {limit} ×"),
            Self::RatioAtMost(limit) => format!("≤ {limit} ×"),
            Self::ValueAtLeast(limit) => format!("≥ {limit}"),
            Self::ValueAtMost(limit) => format!("≤ {limit}"),
        }
    }

    fn is_met(self, row: &Row) -> bool {
        match self {
            Self::RatioAtLeast(limit) => row.ratio.is_some_and(|ratio| ratio >= limit),
            Self::RatioAtMost(limit) => row.ratio.is_some_and(|ratio| ratio <= limit),
            Self::ValueAtLeast(limit) => row.value >= limit,
            Self::ValueAtMost(limit) => row.value <= limit,
        }
    }
}

impl Results {
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let file =
            File::open(path).with_context(|| format!("failed to open {}", path.display()))?;
        serde_json::from_reader(file).with_context(|| format!("{} has no results", path.display()))
    }

    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let file =
            File::create(path).with_context(|| format!("failed to create {}", path.display()))?;
        serde_json::to_writer_pretty(file, self).context("failed to write the results")
    }

    /// Whether every measurement has a result and no id was lost or doubled.
    pub(crate) fn are_complete(&self) -> bool {
        let mut audits = self.rows.iter().filter_map(|row| row.audit.as_ref());
        self.failed.is_empty() && audits.all(Audit::is_clean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_is_met_only_with_all_its_aims() {
        let row = Row::new("r", "events/s", 3500.0).against("same rows", 4000.0);
        let ratio = Aim::RatioAtLeast(0.7);
        assert_eq!(row.clone().aims(&[ratio]).met, Some(true));

        let both = row.clone().aims(&[ratio, Aim::ValueAtLeast(4000.0)]);
        assert_eq!(both.met, Some(false));
        assert_eq!(both.aim.as_deref(), Some("≥ 0.7 ×, ≥ 4000"));
        assert_eq!(row.met, None);
    }

    #[test]
    fn ratio_to_nothing_meets_no_aim() {
        let row = Row::new("r", "ms", 1.0).against("bare", 0.0);
        assert_eq!(row.aims(&[Aim::RatioAtMost(1.3)]).met, Some(false));
    }
}
