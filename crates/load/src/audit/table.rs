//! Renders the summary of an audit as a table.

use std::fmt::Write as _;

use super::summary::Summary;

/// The JSON has all breaches.
const BREACHES_SHOWN: usize = 40;
const WIDTH: usize = 76;

pub(crate) fn text(summary: &Summary) -> String {
    let mut out = String::new();
    write(summary, &mut out).expect("writing to a string does not fail");
    out
}

fn write(summary: &Summary, out: &mut String) -> std::fmt::Result {
    let rule = "─".repeat(WIDTH);
    writeln!(out, "{rule}")?;
    for row in rows(summary) {
        let Row {
            name,
            count,
            remark,
        } = row;
        writeln!(out, "  {name:<32}{:>10}   {remark}", grouped(count))?;
    }
    writeln!(out, "{rule}")?;

    for (law, breaches) in &summary.laws {
        if *breaches == 0 {
            writeln!(out, "  ✓ {}", law.text())?;
        } else {
            writeln!(out, "  ✗ {}  ({breaches} breaches)", law.text())?;
        }
    }
    writeln!(out, "{rule}")?;

    for breach in summary.breaches.iter().take(BREACHES_SHOWN) {
        writeln!(out, "  {}: {}", breach.id, breach.what)?;
    }
    let not_shown = summary.breaches.len().saturating_sub(BREACHES_SHOWN);
    if not_shown > 0 {
        writeln!(out, "  … and {not_shown} more; --json names them all")?;
    }

    let verdict = if summary.balanced {
        "The books balance."
    } else {
        "THE BOOKS DO NOT BALANCE."
    };
    write!(
        out,
        "  {verdict}  lost {}  doubled {}",
        summary.lost, summary.doubled
    )
}

struct Row {
    name: &'static str,
    count: u64,
    remark: String,
}

fn rows(summary: &Summary) -> Vec<Row> {
    let row = |name, count: u64, remark: String| Row {
        name,
        count,
        remark,
    };
    let signed = |number: i64| u64::try_from(number).unwrap_or(0);

    let requests = &summary.requests;
    let answered = format!("{} answered 200", grouped(requests.accepted));
    let kept = match summary.unreadable {
        Some(kept) => format!("{kept} authentic ones kept as dead letters"),
        None => String::new(),
    };
    let by_the_ledger = format!(
        "{} of them by the ledger",
        grouped(summary.reached_the_ledger_again)
    );
    let states: Vec<String> = summary
        .payment_states
        .iter()
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    let credit_notes = format!("and {} credit notes", summary.credit_notes_filed);
    let look_ups = format!(
        "{} look-ups; {} refused under another invoice's number",
        grouped(summary.look_ups),
        summary.met_under_one_number
    );
    let still_dead = format!("{} still dead", summary.dead_still);

    vec![
        row("webhooks received", requests.sent, answered),
        row("forged or malformed, refused", requests.refused, kept),
        row(
            "duplicates dropped",
            summary.duplicates_dropped,
            by_the_ledger,
        ),
        row(
            "never answered",
            summary.unconfirmed as u64,
            "and never repeated by the gateway".to_owned(),
        ),
        row("payments", summary.payments as u64, states.join(", ")),
        row("invoices filed", summary.sales_filed as u64, credit_notes),
        row(
            "recovered after lost answers",
            summary.answers_lost,
            look_ups,
        ),
        row("dead-lettered", signed(summary.dead_ever), still_dead),
        row("replayed", signed(summary.replayed), String::new()),
        row("lost", summary.lost as u64, String::new()),
        row("doubled", summary.doubled as u64, String::new()),
    ]
}

/// Writes 12345 as 12,345.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_thousands_separators() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
