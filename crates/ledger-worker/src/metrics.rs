//! The metrics of this program. Every series exists at zero from the start.

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, Registry};
use risiti_domain::{DeadCause, PaymentState, Provider};
use risiti_ledger::{Delivery, Recorded};
use risiti_providers::{known_kind, known_kinds};
use risiti_service::metrics::{SECONDS, counter, counters, gauge, histogram};

#[derive(Clone)]
pub(crate) struct Metrics {
    events: IntCounterVec,
    duplicates: IntCounterVec,
    flagged: IntCounterVec,
    payments: IntCounterVec,
    foreign_income: IntCounterVec,
    pub(crate) batch_size: Histogram,
    pub(crate) batch_seconds: Histogram,
    dead_letters: IntCounterVec,
    letters_grouped: IntCounter,
    dead_letters_waiting: IntGauge,
    wake_ups: IntCounterVec,
}

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> Self {
        let providers: Vec<&str> = Provider::ALL
            .iter()
            .map(|provider| provider.as_str())
            .collect();
        let states: Vec<&str> = PaymentState::ALL
            .iter()
            .map(|state| state.as_str())
            .collect();
        let by_provider = |name, help| counters(registry, name, help, &["provider"], &[&providers]);
        let metrics = Self {
            events: counters(
                registry,
                "risiti_events_recorded_total",
                "Events stored for the first time.",
                &["provider", "kind"],
                &[],
            ),
            duplicates: by_provider(
                "risiti_events_duplicate_total",
                "Events that were delivered again.",
            ),
            flagged: by_provider(
                "risiti_events_flagged_total",
                "Events that contradict what is recorded, for a person to look at.",
            ),
            payments: counters(
                registry,
                "risiti_payments_total",
                "Payments that entered a state.",
                &["provider", "state"],
                &[&providers, &states],
            ),
            foreign_income: by_provider(
                "risiti_foreign_income_total",
                "Payments of merchants with a tax device that get no receipt, because they are not in KES.",
            ),
            batch_size: histogram(
                registry,
                "risiti_ledger_batch_size",
                "Messages recorded in one transaction.",
                &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0],
            ),
            batch_seconds: histogram(
                registry,
                "risiti_ledger_batch_seconds",
                "Time from reading a batch to its last acknowledgement.",
                SECONDS,
            ),
            dead_letters: counters(
                registry,
                "risiti_dead_letters_total",
                "Messages set aside as dead letters.",
                &["cause"],
                &[&[DeadCause::Unreadable.as_str(), DeadCause::Poison.as_str()]],
            ),
            letters_grouped: counter(
                registry,
                "risiti_dead_letters_grouped_total",
                "Deliveries of unreadable messages that got no message in the dead-letter queue, because their merchant sent too many.",
            ),
            dead_letters_waiting: gauge(
                registry,
                "risiti_dead_letters_waiting",
                "Messages held until the broker takes their dead letters.",
            ),
            wake_ups: counters(
                registry,
                "risiti_lane_tokens_total",
                "Wake-ups published for lanes. The wake loop makes up for failed ones.",
                &["outcome"],
                &[&["published", "failed"]],
            ),
        };
        for provider in Provider::ALL {
            for kind in known_kinds(*provider) {
                metrics
                    .events
                    .with_label_values(&[provider.as_str(), *kind]);
            }
        }
        metrics
    }

    pub(crate) fn recorded(&self, provider: Provider, kind: &str, recorded: &Recorded) {
        let provider_name = provider.as_str();
        match recorded.delivery {
            Delivery::New => {
                let kind = known_kind(provider, kind);
                self.events.with_label_values(&[provider_name, kind]).inc();
            }
            Delivery::Duplicate => self.duplicates.with_label_values(&[provider_name]).inc(),
            Delivery::Redelivered | Delivery::Conflict => {}
        }
        if recorded.flagged {
            self.flagged.with_label_values(&[provider_name]).inc();
        }
        if recorded.foreign_income.is_some() {
            self.foreign_income
                .with_label_values(&[provider_name])
                .inc();
        }
        for (_, state) in &recorded.moves {
            self.payment_moved(provider, *state);
        }
    }

    pub(crate) fn payment_moved(&self, provider: Provider, state: PaymentState) {
        self.payments
            .with_label_values(&[provider.as_str(), state.as_str()])
            .inc();
    }

    pub(crate) fn dead_letter(&self, cause: DeadCause) {
        self.dead_letters.with_label_values(&[cause.as_str()]).inc();
    }

    /// Counts unreadable messages that were stored together, and the new dead letters among them.
    pub(crate) fn grouped_letters(&self, deliveries: usize, new: usize) {
        self.letters_grouped.inc_by(deliveries as u64);
        self.dead_letters
            .with_label_values(&[DeadCause::Unreadable.as_str()])
            .inc_by(new as u64);
    }

    /// Counts a dead letter as waiting until the returned value is dropped.
    pub(crate) fn letter_waits(&self) -> WaitingLetter {
        self.dead_letters_waiting.inc();
        WaitingLetter(self.dead_letters_waiting.clone())
    }

    pub(crate) fn wake_ups(&self, published: usize, failed: usize) {
        for (outcome, count) in [("published", published), ("failed", failed)] {
            self.wake_ups
                .with_label_values(&[outcome])
                .inc_by(count as u64);
        }
    }
}

/// A dead letter that waits for the broker.
pub(crate) struct WaitingLetter(IntGauge);

impl Drop for WaitingLetter {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use risiti_domain::EventId;
    use uuid::Uuid;

    use super::*;

    fn text(registry: &Registry) -> String {
        prometheus::TextEncoder::new()
            .encode_to_string(&registry.gather())
            .unwrap()
    }

    #[test]
    fn documented_series_exist_at_zero() {
        let registry = Registry::new();
        Metrics::register(&registry);
        let text = text(&registry);
        for line in [
            "risiti_events_recorded_total{kind=\"stk\",provider=\"daraja\"} 0",
            "risiti_payments_total{provider=\"paystack\",state=\"success\"} 0",
            "risiti_dead_letters_total{cause=\"poison\"} 0",
            "risiti_dead_letters_waiting 0",
            "risiti_foreign_income_total{provider=\"gumroad\"} 0",
            "risiti_ledger_batch_size_count 0",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }

    #[test]
    fn invented_event_name_makes_no_new_series() {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry);
        let recorded = Recorded {
            event: EventId::from_uuid(Uuid::nil()),
            delivery: Delivery::New,
            flagged: false,
            moves: Vec::new(),
            foreign_income: None,
            wake: Vec::new(),
        };
        metrics.recorded(Provider::Gumroad, "made-up-4711", &recorded);
        let text = text(&registry);
        assert!(!text.contains("4711"));
        assert!(
            text.contains("risiti_events_recorded_total{kind=\"other\",provider=\"gumroad\"} 1")
        );
    }
}
