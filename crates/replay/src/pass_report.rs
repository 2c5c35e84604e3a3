//! What a replay pass reports at its end, as JSON and as text.

use risiti_ledger::RunCounts;
use serde_json::{Value, json};

use crate::confirm::Summary;
use crate::dead_letter_handler::PassKind;
use crate::in_hand::PassCounts;
use crate::outcomes::Outcomes;

/// Returns `{"matched","replayed","skipped","failed"}`. The second key depends on the kind. A
/// discard has two more keys, and a replay that waited has what became of its invoices.
pub(crate) fn report(kind: PassKind, counts: &PassCounts, outcomes: Option<&Outcomes>) -> Value {
    let mut report = count_report(kind, counts.run);
    if kind == PassKind::Discard {
        report["looked_up_first"] = counts.looked_up_first.into();
        report["looked_up_first_ids"] = json!(counts.looked_up_ids);
    }
    if let Some(outcomes) = outcomes {
        outcomes.add_to(&mut report);
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

    pub(crate) fn report_text(self, counts: &PassCounts, outcomes: Option<&Outcomes>) -> String {
        let RunCounts {
            matched,
            done,
            skipped,
            failed,
        } = counts.run;
        let looked_up = match counts.looked_up_first {
            0 => String::new(),
            count => format!(" {count} looked up by their lanes first,"),
        };
        let key = self.done_key();
        let mut lines = vec![format!(
            "{matched} matched: {done} {key},{looked_up} {skipped} skipped (moved before), \
             {failed} failed."
        )];
        lines.extend(
            counts
                .looked_up_ids
                .iter()
                .map(|id| format!("  if KRA has it, it gets its receipt: risiti-replay show {id}")),
        );
        let more = counts.looked_up_first - counts.looked_up_ids.len() as u64;
        if more > 0 {
            lines.push(format!("  and {more} more: risiti-replay list"));
        }
        lines.extend(outcomes.map(Outcomes::text));
        lines.join("\n")
    }
}
