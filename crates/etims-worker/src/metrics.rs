//! The metrics of the lanes.

use std::time::Duration;

use prometheus::{HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry};
use risiti_domain::{DeadCause, Dialect, InvoiceState, LaneState};
use risiti_ledger::{Breaker, LaneGauges};
use risiti_service::metrics::{SECONDS, counter, counters, gauge, gauges, histograms};

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

    pub(crate) fn show(&self, gauges: &LaneGauges) {
        for state in InvoiceState::ALL {
            let count = gauges.invoices.get(state).copied().unwrap_or(0);
            self.invoices
                .with_label_values(&[state.as_str()])
                .set(count);
        }
        for state in LaneState::ALL {
            let count = gauges.lanes.get(state).copied().unwrap_or(0);
            self.lanes.with_label_values(&[state.as_str()]).set(count);
        }
        self.oldest_pending.set(gauges.oldest_pending_seconds);
        self.replayed.inc_by(
            gauges
                .replayed
                .unsigned_abs()
                .saturating_sub(self.replayed.get()),
        );
    }
}
