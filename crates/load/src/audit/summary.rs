//! The summary of an audit, which is printed as JSON or as a table.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::breach::{Breach, Breaches, Harm, Law};
use super::dead_letters::DeadLetter;
use super::storm_record::{RequestCounts, StormRecord};
use super::views::Views;
use crate::simulator::{Filed, Stats};

#[derive(Serialize)]
pub(crate) struct Summary {
    pub(crate) balanced: bool,
    pub(crate) lost: usize,
    pub(crate) doubled: usize,
    pub(crate) requests: RequestCounts,
    /// Requests that were answered 200 and made no new event.
    pub(crate) duplicates_dropped: u64,
    /// How many of these ingress let through, so that the ledger recognised them.
    pub(crate) reached_the_ledger_again: u64,
    /// Messages that were sent and never answered 200.
    pub(crate) unconfirmed: usize,
    /// Dead letters of unreadable webhooks. None where dead letters were not checked.
    pub(crate) unreadable: Option<usize>,
    pub(crate) payments: usize,
    pub(crate) payment_states: BTreeMap<String, usize>,
    pub(crate) sales_filed: usize,
    pub(crate) credit_notes_filed: usize,
    pub(crate) accepted_by_the_authority: usize,
    /// Requests that the authority accepted, but whose answers were lost.
    pub(crate) answers_lost: u64,
    /// Invoices that were refused because another one had their number.
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

/// Everything that an audit read and found.
pub(crate) struct Findings<'a> {
    pub(crate) storm: &'a StormRecord,
    pub(crate) views: &'a Views,
    pub(crate) filed: &'a [Filed],
    pub(crate) stats: &'a Stats,
    pub(crate) dead_letters: Option<&'a [DeadLetter]>,
    pub(crate) late_clashes: usize,
    pub(crate) breaches: Breaches,
    pub(crate) waited: Duration,
}

/// Faults by which the simulator accepts a request without an answer.
const FAULTS_THAT_LOSE_ANSWERS: [&str; 2] = ["accept_then_drop", "deliver_late"];

impl Summary {
    pub(crate) fn of(findings: Findings<'_>) -> Self {
        let Findings {
            storm,
            views,
            stats,
            breaches,
            ..
        } = findings;
        let invoices = || views.invoices.values().flatten();
        let filed = || invoices().filter(|invoice| invoice.state == "success");
        let confirmed = storm.confirmed() as u64;

        let mut payment_states: BTreeMap<String, usize> = BTreeMap::new();
        for payment in &views.payments {
            *payment_states.entry(payment.state.clone()).or_default() += 1;
        }

        Self {
            balanced: breaches.0.is_empty(),
            lost: breaches.count_harm(Harm::Lost),
            doubled: breaches.count_harm(Harm::Doubled),
            duplicates_dropped: storm.requests.accepted.saturating_sub(confirmed),
            reached_the_ledger_again: recorded_duplicates(views),
            unconfirmed: storm.unconfirmed(),
            unreadable: findings.dead_letters.map(count_unreadable),
            payments: views.payments.len(),
            payment_states,
            sales_filed: filed().filter(|invoice| invoice.is_sale).count(),
            credit_notes_filed: filed().filter(|invoice| !invoice.is_sale).count(),
            accepted_by_the_authority: findings.filed.len(),
            answers_lost: FAULTS_THAT_LOSE_ANSWERS
                .iter()
                .filter_map(|fault| stats.faults.get(*fault))
                .sum(),
            met_under_one_number: findings.late_clashes,
            look_ups: stats.calls.get("lookup").copied().unwrap_or(0),
            dead_ever: views.invoice_counts.ever_dead,
            dead_still: invoices().filter(|invoice| invoice.state == "dead").count(),
            replayed: views.invoice_counts.replayed,
            faults: stats.faults.clone(),
            waited_seconds: findings.waited.as_secs(),
            laws: Law::ALL
                .iter()
                .map(|law| (*law, breaches.count_against(*law)))
                .collect(),
            breaches: breaches.0,
            requests: storm.requests.clone(),
        }
    }
}

fn by_law<S: Serializer>(laws: &[(Law, usize)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(laws.iter().map(|(law, breaches)| (law, breaches)))
}

fn count_unreadable(dead_letters: &[DeadLetter]) -> usize {
    let unreadable = dead_letters
        .iter()
        .filter(|dead_letter| dead_letter.cause == "unreadable");
    unreadable.count()
}

/// Counts the duplicates that ingress let through and the ledger recognised.
fn recorded_duplicates(views: &Views) -> u64 {
    let duplicates: i64 = views
        .events
        .values()
        .flatten()
        .map(|event| event.duplicates)
        .sum();
    u64::try_from(duplicates).unwrap_or(0)
}
