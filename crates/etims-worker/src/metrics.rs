//! The metrics of the lanes.

use std::collections::BTreeMap;
use std::time::Duration;

use prometheus::{HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry};
use risiti_domain::{DeadCause, Dialect, InvoiceState, LaneState};
use risiti_ledger::{Breaker, OpenMessages, WaitingForAPerson};
use risiti_service::metrics::{SECONDS, counter, counters, gauge, gauges, histograms};

use crate::gauges::Reading;

/// The causes of dead letters that are messages, and no invoices.
const MESSAGE_CAUSES: [DeadCause; 2] = [DeadCause::Unreadable, DeadCause::Poison];

#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    calls: IntCounterVec,
    call_seconds: HistogramVec,
    pub(crate) in_flight: IntGauge,
    breaker: IntGaugeVec,
    dead_letters: IntCounterVec,
    invoices: IntGaugeVec,
    lanes: IntGaugeVec,
    oldest_pending: IntGauge,
    flagged_payments: IntGauge,
    oldest_flagged: IntGauge,
    open_messages: IntGaugeVec,
    oldest_open_message: IntGaugeVec,
    open_messages_of_one: IntGaugeVec,
    reading_age: IntGaugeVec,
    replayed: IntCounter,
}

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> Self {
        let dialects: Vec<&str> = Dialect::ALL
            .iter()
            .map(|dialect| dialect.as_str())
            .collect();
        let causes: Vec<&str> = DeadCause::ALL.iter().map(|cause| cause.as_str()).collect();
        let invoices: Vec<&str> = InvoiceState::ALL
            .iter()
            .map(|state| state.as_str())
            .collect();
        let lanes: Vec<&str> = LaneState::ALL.iter().map(|state| state.as_str()).collect();
        let readings = Reading::ALL.map(Reading::as_str);
        let outcomes = ["ok", "retry", "refused", "unknown", "halt"];
        Self {
            calls: counters(
                registry,
                "risiti_etims_calls_total",
                "Calls to KRA eTIMS, sales and look-ups, by how they ended.",
                &["dialect", "outcome"],
                &[&dialects, &outcomes],
            ),
            call_seconds: histograms(
                registry,
                "risiti_etims_call_seconds",
                "Time from sending a call to KRA eTIMS to its answer.",
                SECONDS,
                &["call"],
                &[&["sale", "look_up"]],
            ),
            in_flight: gauge(
                registry,
                "risiti_etims_in_flight",
                "Calls to KRA eTIMS under way.",
            ),
            breaker: gauges(
                registry,
                "risiti_breaker_state",
                "Breaker per KRA host: 0 closed, 1 trying, 2 open.",
                &["host"],
                &[],
            ),
            dead_letters: counters(
                registry,
                "risiti_dead_letters_total",
                "Invoices set aside as dead letters.",
                &["cause"],
                &[&causes],
            ),
            invoices: gauges(
                registry,
                "risiti_invoices",
                "Invoices by state.",
                &["state"],
                &[&invoices],
            ),
            lanes: gauges(
                registry,
                "risiti_lanes",
                "Lanes by state.",
                &["state"],
                &[&lanes],
            ),
            replayed: counter(
                registry,
                "risiti_replayed_total",
                "Replays of dead letters by anybody, as the ledger counts them: the same from every worker.",
            ),
            oldest_pending: gauge(
                registry,
                "risiti_oldest_pending_invoice_seconds",
                "Age of the oldest invoice that is owed and could be filed.",
            ),
            flagged_payments: gauge(
                registry,
                "risiti_flagged_payments",
                "Payments that wait for a person to look at them.",
            ),
            oldest_flagged: gauge(
                registry,
                "risiti_oldest_flagged_payment_seconds",
                "Time since the oldest payment that is flagged was flagged.",
            ),
            open_messages: gauges(
                registry,
                "risiti_open_dead_letters",
                "Dead letters that are messages and wait for a person.",
                &["cause"],
                &[&MESSAGE_CAUSES.map(DeadCause::as_str)],
            ),
            oldest_open_message: gauges(
                registry,
                "risiti_oldest_open_dead_letter_seconds",
                "Age of the oldest dead letter that is a message and waits for a person.",
                &["cause"],
                &[&MESSAGE_CAUSES.map(DeadCause::as_str)],
            ),
            open_messages_of_one: gauges(
                registry,
                "risiti_open_dead_letters_of_one_merchant",
                "Open dead letters that are messages, of the merchant that has the most.",
                &["cause"],
                &[&MESSAGE_CAUSES.map(DeadCause::as_str)],
            ),
            reading_age: gauges(
                registry,
                "risiti_gauge_reading_age_seconds",
                "Time since the gauges that come from the database were last read.",
                &["reading"],
                &[&readings],
            ),
        }
    }

    pub(crate) fn called(&self, dialect: Dialect, call: &str, outcome: &str, took: Duration) {
        self.calls
            .with_label_values(&[dialect.as_str(), outcome])
            .inc();
        self.call_seconds
            .with_label_values(&[call])
            .observe(took.as_secs_f64());
    }

    pub(crate) fn dead_letter(&self, cause: DeadCause) {
        self.dead_letters.with_label_values(&[cause.as_str()]).inc();
    }

    pub(crate) fn breaker(&self, host: &str, breaker: Breaker) {
        let state = match breaker {
            Breaker::Closed => 0,
            Breaker::Trying => 1,
            Breaker::Open => 2,
        };
        self.breaker.with_label_values(&[host]).set(state);
    }

    pub(crate) fn show_oldest_pending(&self, seconds: i64) {
        self.oldest_pending.set(seconds);
    }

    pub(crate) fn show_lanes(&self, counts: &BTreeMap<LaneState, i64>) {
        for state in LaneState::ALL {
            let count = counts.get(state).copied().unwrap_or(0);
            self.lanes.with_label_values(&[state.as_str()]).set(count);
        }
    }

    pub(crate) fn show_unfiled(&self, counts: &BTreeMap<InvoiceState, i64>) {
        for &state in InvoiceState::ALL {
            if state != InvoiceState::Success {
                self.show_invoices(state, counts.get(&state).copied().unwrap_or(0));
            }
        }
    }

    pub(crate) fn show_filed(&self, count: i64) {
        self.show_invoices(InvoiceState::Success, count);
    }

    fn show_invoices(&self, state: InvoiceState, count: i64) {
        self.invoices
            .with_label_values(&[state.as_str()])
            .set(count);
    }

    pub(crate) fn show_replayed(&self, count: i64) {
        self.replayed
            .inc_by(count.unsigned_abs().saturating_sub(self.replayed.get()));
    }

    pub(crate) fn show_flagged(&self, waiting: WaitingForAPerson) {
        self.flagged_payments.set(waiting.count);
        self.oldest_flagged.set(waiting.oldest_seconds);
    }

    pub(crate) fn show_open_messages(&self, open: &BTreeMap<DeadCause, OpenMessages>) {
        for cause in MESSAGE_CAUSES {
            let of_cause = open.get(&cause).copied().unwrap_or_default();
            for (gauge, value) in [
                (&self.open_messages, of_cause.waiting.count),
                (&self.oldest_open_message, of_cause.waiting.oldest_seconds),
                (&self.open_messages_of_one, of_cause.most_of_one_merchant),
            ] {
                gauge.with_label_values(&[cause.as_str()]).set(value);
            }
        }
    }

    pub(crate) fn show_reading_age(&self, reading: Reading, age: Duration) {
        self.reading_age
            .with_label_values(&[reading.as_str()])
            .set(i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
    }
}
