//! Results for people: on the terminal, and as Markdown for the documents.

use std::fmt::Write as _;

use crate::results::{Results, Row};

const COLUMNS: usize = 9;
const HEAD: [&str; COLUMNS] = [
    "",
    "value",
    "beside",
    "ratio",
    "aim",
    "met",
    "p50/p99 ms",
    "CPU µs",
    "others",
];

/// One row on one line.
pub(crate) fn line(row: &Row) -> String {
    cells(row).join("  ")
}

pub(crate) fn text(results: &Results) -> String {
    let mut lines = vec![HEAD.map(str::to_owned)];
    lines.extend(results.rows.iter().map(cells));
    let widths: Vec<usize> = (0..HEAD.len())
        .map(|column| {
            let width = |line: &[String; COLUMNS]| line[column].chars().count();
            lines.iter().map(width).max().unwrap_or(0)
        })
        .collect();

    let mut out = String::new();
    for line in &lines {
        for (cell, width) in line.iter().zip(&widths) {
            let _ = write!(out, "{cell:<width$}  ");
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
    }
    for row in &results.rows {
        for note in &row.notes {
            let _ = writeln!(out, "{}: {note}", row.name);
        }
    }
    for failure in &results.failed {
        let _ = writeln!(out, "{} FAILED: {}", failure.measurement, failure.why);
    }
    let _ = writeln!(out, "{}", machine(results));
    out
}

pub(crate) fn markdown(results: &Results) -> String {
    let mut out = format!("{}\n\n", machine(results));
    let _ = writeln!(out, "| {} |", HEAD.join(" | "));
    let _ = writeln!(out, "|---|{}", "---:|".repeat(HEAD.len() - 1));
    for row in &results.rows {
        let _ = writeln!(out, "| {} |", cells(row).join(" | "));
    }
    for row in results.rows.iter().filter(|row| !row.notes.is_empty()) {
        let _ = write!(out, "\n- {}: {}", row.name, row.notes.join("; "));
    }
    out.push('\n');
    out
}

fn cells(row: &Row) -> [String; COLUMNS] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    let beside = row.yardstick.map(|yardstick| {
        let what = row.beside.as_deref().unwrap_or_default();
        format!("{} {what}", number(yardstick))
    });
    let audit = row.audit.filter(|audit| !audit.is_clean());
    let met = match (audit, row.met) {
        (Some(audit), _) => format!("LOST {}, DOUBLED {}", audit.lost, audit.doubled),
        (None, Some(true)) => "yes".to_owned(),
        (None, Some(false)) => "NO".to_owned(),
        (None, None) => "–".to_owned(),
    };
    let latency = row.p50_ms.zip(row.p99_ms).map(|(p50, p99)| {
        let yardstick = row.yardstick_p50_ms.zip(row.yardstick_p99_ms);
        let yardstick = yardstick.map(|(p50, p99)| format!(" ({}/{})", number(p50), number(p99)));
        format!(
            "{}/{}{}",
            number(p50),
            number(p99),
            yardstick.unwrap_or_default()
        )
    });
    let cpu = row.cpu_us.map(|ours| {
        let yardstick = row.yardstick_cpu_us;
        let yardstick = yardstick.map(|theirs| format!(" ({theirs:.0})"));
        format!("{ours:.0}{}", yardstick.unwrap_or_default())
    });
    [
        row.name.clone(),
        format!("{} {}", number(row.value), row.unit),
        or_dash(beside),
        or_dash(row.ratio.map(|ratio| format!("{ratio:.2}"))),
        or_dash(row.aim.clone()),
        met,
        or_dash(latency),
        or_dash(cpu),
        format!("{:.0} %", row.others_cpu * 100.0),
    ]
}

/// Three digits that count.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn machine(results: &Results) -> String {
    let machine = &results.machine;
    let dirty = if machine.dirty { ", changed" } else { "" };
    let size = if results.full { "full" } else { "short" };
    format!(
        "{} cores ({}), {} GiB; PostgreSQL {}, RabbitMQ {}; {}; commit {}{dirty}; {size} sizes; \
         load before the run {:.2}",
        machine.cores,
        machine.cpu,
        machine.memory_gib,
        machine.postgres,
        machine.rabbitmq,
        machine.rustc,
        machine.commit,
        machine.load_before,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_that_count() {
        assert_eq!(
            [0.333, 9.05, 95.83, 4444.4].map(number),
            ["0.33", "9.05", "95.8", "4444"]
        );
    }

    #[test]
    fn lost_ids_outweigh_a_met_aim() {
        let audit = crate::audit::Audit {
            answered: 9,
            lost: 1,
            doubled: 0,
        };
        let row = Row::new("r", "webhooks/s", 1.0).audited(audit);
        assert!(line(&row).contains("LOST 1"));
    }
}
