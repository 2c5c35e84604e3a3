//! How an audit is told: as JSON, or as a table.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::book::Requests;
use super::breach::{Breach, Law};

#[derive(Serialize)]
pub(crate) struct Summary {
    pub(crate) balanced: bool,
    pub(crate) lost: usize,
    pub(crate) doubled: usize,
    pub(crate) requests: Requests,
    /// Answered 200 and nothing new.
    pub(crate) duplicates_dropped: u64,
    /// Of these, what the cache let through and the ledger recognised.
    pub(crate) reached_the_ledger_again: u64,
    /// Messages of which no delivery was ever answered.
    pub(crate) unconfirmed: usize,
    /// Kept as dead letters; none: nobody was asked.
    pub(crate) unreadable: Option<usize>,
    pub(crate) payments: usize,
    pub(crate) payment_states: BTreeMap<String, usize>,
    pub(crate) sales_filed: usize,
    pub(crate) credit_notes_filed: usize,
    pub(crate) accepted_by_the_authority: usize,
    /// Requests that the authority took while its answer went missing.
    pub(crate) answers_lost: u64,
    /// Requests refused because two invoices met under a number, one of them late.
    pub(crate) met_under_one_number: usize,
    pub(crate) look_ups: u64,
    pub(crate) dead_ever: i64,
    pub(crate) dead_still: usize,
    pub(crate) replayed: i64,
    pub(crate) faults: BTreeMap<String, u64>,
    pub(crate) waited_seconds: u64,
    #[serde(serialize_with = "by_law")]
    pub(crate) laws: Vec<(Law, usize)>,
    pub(crate) breaches: Vec<Breach>,
}

fn by_law<S: serde::Serializer>(laws: &[(Law, usize)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(laws.iter().map(|(law, breaches)| (law, breaches)))
}

/// More are in the JSON.
const BREACHES_SHOWN: usize = 40;
const WIDTH: usize = 76;

impl Summary {
    pub(crate) fn table(&self) -> String {
        let mut out = String::new();
        let rule = "─".repeat(WIDTH);
        self.write(&mut out, &rule)
            .expect("writing to a string does not fail");
        out
    }

    fn write(&self, out: &mut String, rule: &str) -> std::fmt::Result {
        writeln!(out, "{rule}")?;
        for (name, count, remark) in self.rows() {
            writeln!(out, "  {name:<32}{:>10}   {remark}", grouped(count))?;
        }
        writeln!(out, "{rule}")?;
        for (law, breaches) in &self.laws {
            let mark = if *breaches == 0 { "✓" } else { "✗" };
            let times = if *breaches == 0 {
                String::new()
            } else {
                format!("  ({breaches} times not)")
            };
            writeln!(out, "  {mark} {}{times}", law.text())?;
        }
        writeln!(out, "{rule}")?;
        for breach in self.breaches.iter().take(BREACHES_SHOWN) {
            writeln!(out, "  {}: {}", breach.id, breach.what)?;
        }
        if self.breaches.len() > BREACHES_SHOWN {
            writeln!(
                out,
                "  … and {} more; --json names them all",
                self.breaches.len() - BREACHES_SHOWN
            )?;
        }
        let verdict = if self.balanced {
            "The books balance."
        } else {
            "THE BOOKS DO NOT BALANCE."
        };
        write!(
            out,
            "  {verdict}  lost {}  doubled {}",
            self.lost, self.doubled
        )
    }

    fn rows(&self) -> Vec<(&'static str, u64, String)> {
        let count = |number: usize| number as u64;
        let signed = |number: i64| u64::try_from(number).unwrap_or(0);
        let states: Vec<String> = self
            .payment_states
            .iter()
            .map(|(state, count)| format!("{count} {state}"))
            .collect();
        let answered = format!("{} answered 200", grouped(self.requests.accepted));
        vec![
            ("webhooks received", self.requests.sent, answered),
            (
                "forged or malformed, refused",
                self.requests.refused,
                match self.unreadable {
                    Some(kept) => format!("{kept} authentic ones kept as dead letters"),
                    None => String::new(),
                },
            ),
            (
                "duplicates dropped",
                self.duplicates_dropped,
                format!(
                    "{} of them by the ledger",
                    grouped(self.reached_the_ledger_again)
                ),
            ),
            (
                "never answered",
                count(self.unconfirmed),
                "and never repeated by the gateway".to_owned(),
            ),
            ("payments", count(self.payments), states.join(", ")),
            (
                "invoices filed",
                count(self.sales_filed),
                format!("and {} credit notes", self.credit_notes_filed),
            ),
            (
                "recovered after lost answers",
                self.answers_lost,
                format!(
                    "{} look-ups; {} met another under their number",
                    grouped(self.look_ups),
                    self.met_under_one_number
                ),
            ),
            (
                "dead-lettered",
                signed(self.dead_ever),
                format!("{} still dead", self.dead_still),
            ),
            ("replayed", signed(self.replayed), String::new()),
            ("lost", count(self.lost), String::new()),
            ("doubled", count(self.doubled), String::new()),
        ]
    }
}

/// 12345 as 12,345.
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
    fn thousands() {
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
