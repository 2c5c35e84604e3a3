//! What a replay pass reports at its end, as JSON and as text.

use risiti_ledger::RunCounts;
use serde_json::{Value, json};

use crate::confirm::Summary;
use crate::dead_letter_handler::PassKind;

/// Returns `{"matched","replayed","skipped","failed"}`. The second key depends on the kind, and a
/// discard has a fifth.
pub(crate) fn report(kind: PassKind, counts: RunCounts, looked_up_first: u64) -> Value {
    let mut report = count_report(kind, counts);
    if kind == PassKind::Discard {
        report["looked_up_first"] = looked_up_first.into();
    }
    report
}

/// Returns the counts of a pass that would take what `summary` shows, with causes and a sample.
pub(crate) fn dry_run_report(kind: PassKind, summary: &Summary) -> Value {
    let counts = RunCounts {
        matched: summary.matched,
        ..RunCounts::default()
    };
    let mut report = count_report(kind, counts);
    if let (Some(report), Value::Object(more)) = (report.as_object_mut(), summary.json()) {
        report.extend(more);
    }
    report
}

fn count_report(kind: PassKind, counts: RunCounts) -> Value {
    json!({
        "matched": counts.matched,
        kind.done_key(): counts.done,
        "skipped": counts.skipped,
        "failed": counts.failed,
    })
}

impl PassKind {
    pub(crate) fn command(self) -> &'static str {
        match self {
            Self::Replay => "run",
            Self::Discard => "discard",
        }
    }

    fn done_key(self) -> &'static str {
        match self {
            Self::Replay => "replayed",
            Self::Discard => "discarded",
        }
    }

    pub(crate) fn question(self, count: u64) -> String {
        match self {
            Self::Replay => format!("Replay {count}?"),
            Self::Discard => format!("Discard {count} for good?"),
        }
    }

    pub(crate) fn report_text(self, counts: RunCounts, looked_up_first: u64) -> String {
        let RunCounts {
            matched,
            done,
            skipped,
            failed,
        } = counts;
        let looked_up = match looked_up_first {
            0 => String::new(),
            _ => format!(" {looked_up_first} looked up by their lanes first,"),
        };
        let key = self.done_key();
        format!(
            "{matched} matched: {done} {key},{looked_up} {skipped} skipped (moved before), \
             {failed} failed."
        )
    }
}
