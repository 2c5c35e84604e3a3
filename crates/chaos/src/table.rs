//! Renders a summary as text for the terminal, and as Markdown for the documents.

use std::fmt::Write as _;

use crate::summary::Summary;

const WIDTH: usize = 92;

const LEGEND: &str = "\
    Troubled requests failed (wrong answer or none) or took longer than 1 s. Recovery is from\n\
    the moment the first of them was sent to the moment the last was over. A troubled request\n\
    counts for every fault that it met, or for the last fault before it.";

pub(crate) fn text(summary: &Summary) -> String {
    let mut out = String::new();
    let rule = "─".repeat(WIDTH);
    let _ = writeln!(out, "{rule}");
    let _ = writeln!(
        out,
        "  {:<42}{:>6}{:>12}{:>14}{:>12}",
        "fault", "times", "troubled", "recovery", "at worst"
    );
    for (kind, found) in &summary.kinds {
        let median = seconds(found.recovery_ms_median);
        let worst = seconds(found.recovery_ms_max);
        let _ = writeln!(
            out,
            "  {kind:<42}{:>6}{:>12}{median:>14}{worst:>12}",
            found.times, found.troubled
        );
    }
    let _ = writeln!(out, "{rule}");

    for (name, value) in rows(summary) {
        let _ = writeln!(out, "  {name:<62}{value:>12}");
    }
    let _ = writeln!(out, "{rule}");
    for line in LEGEND.lines() {
        let _ = writeln!(out, "  {line}");
    }

    for breach in summary.audit["breaches"]
        .as_array()
        .into_iter()
        .flatten()
        .take(40)
    {
        let field = |name: &str| breach[name].as_str().unwrap_or("?").to_owned();
        let _ = writeln!(out, "  ✗ {}: {}", field("id"), field("what"));
    }
    for left in &summary.left_behind {
        let _ = writeln!(out, "  ✗ {left}");
    }

    let verdict = match (summary.balanced, summary.passed) {
        (true, true) => "The books balance.",
        (true, false) => "THE BOOKS BALANCE, BUT SOMETHING ELSE WENT WRONG: SEE ABOVE.",
        (false, _) => "THE BOOKS DO NOT BALANCE.",
    };
    let _ = write!(
        out,
        "  {verdict}  lost {}  doubled {}  seed {}",
        summary.lost, summary.doubled, summary.seed
    );
    out
}

pub(crate) fn markdown(summary: &Summary) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "`make chaos SECONDS={} RATE={} SEED={}`\n",
        summary.seconds, summary.webhooks_per_second, summary.seed
    );
    let _ = writeln!(out, "| | |\n|---|---:|");
    for (name, value) in rows(summary) {
        let _ = writeln!(out, "| {name} | {value} |");
    }
    let _ = writeln!(
        out,
        "\n| Fault | Times | Troubled requests | Recovery, median | At worst |\n|---|---:|---:|---:|---:|"
    );
    for (kind, found) in &summary.kinds {
        let median = seconds(found.recovery_ms_median);
        let worst = seconds(found.recovery_ms_max);
        let _ = writeln!(
            out,
            "| {kind} | {} | {} | {median} | {worst} |",
            found.times, found.troubled
        );
    }
    out
}

fn rows(summary: &Summary) -> Vec<(&'static str, u64)> {
    let answers = &summary.answers;
    let audit = |name: &str| summary.audit[name].as_u64().unwrap_or(0);
    vec![
        ("faults survived", summary.faults),
        (
            "faults that met something down already",
            summary.faults_missed,
        ),
        (
            "programs and servers killed by somebody else",
            summary.killed_by_others,
        ),
        (
            "programs that ended by themselves",
            summary.ended_by_themselves,
        ),
        ("requests", answers.requests),
        ("answered 200", answers.answered_200),
        ("of these, kept by the spool", answers.spooled),
        ("forged or malformed, refused", answers.refused),
        ("answered 503, or 408 after a freeze", answers.unavailable),
        (
            "of these, authentic and could have been kept",
            answers.needlessly_unavailable,
        ),
        ("never answered", answers.unanswered),
        (
            "answered 408 by an ingress that lived",
            answers.hurried_by_live,
        ),
        (
            "answers later than 3 s from an ingress that lived",
            answers.late_from_live,
        ),
        (
            "answers later than 3 s from one that was killed or frozen",
            answers.late_from_struck,
        ),
        (
            "slowest answer from an ingress that lived, ms",
            answers.slowest_from_live_ms,
        ),
        (
            "due and not sent, as 600 requests were in flight",
            summary.audit["requests"]["skipped"].as_u64().unwrap_or(0),
        ),
        ("payments", audit("payments")),
        (
            "invoices filed",
            audit("sales_filed") + audit("credit_notes_filed"),
        ),
        ("dead letters on the way", audit("dead_ever")),
        ("lost", summary.lost),
        ("doubled", summary.doubled),
        (
            "protocol errors at the tax authority",
            summary.protocol_errors,
        ),
    ]
}

fn seconds(ms: u64) -> String {
    if ms == 0 {
        "–".to_owned()
    } else {
        format!("{}.{} s", ms / 1000, ms % 1000 / 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovery_times_are_printed_in_seconds() {
        assert_eq!(
            [seconds(0), seconds(90), seconds(12_345)],
            ["–", "0.0 s", "12.3 s"]
        );
    }
}
