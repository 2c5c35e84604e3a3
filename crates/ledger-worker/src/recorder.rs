//! Records a batch of messages: all in one transaction, or one by one when that fails (protocol
//! C3).

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use risiti_domain::{CredentialId, EventId};
use risiti_ledger::{
    IncomingEvent, Ledger, LedgerError, MessageDeadLetter, Recorded, UnansweredCommits,
};
use risiti_providers::known_kind;
use risiti_queue::Message;

use crate::credential_uses::{self, CredentialUses};
use crate::metrics::Metrics;
use crate::reading::{Reading, poison_event, read};
use crate::retry_budget::{BudgetSpent, RetryBudget};

/// What became of a batch. Every message is either recorded or a dead letter.
#[derive(Default)]
pub(crate) struct BatchOutcome {
    pub(crate) recorded: Vec<Recorded>,
    /// These are to be set aside, each by its message's place in the batch.
    pub(crate) dead_letters: BTreeMap<usize, MessageDeadLetter>,
    /// When each credential was last used.
    pub(crate) credentials: BTreeMap<CredentialId, Timestamp>,
}

/// An event and where it came from.
struct Origin<'a> {
    place: usize,
    message: &'a Message,
}

pub(crate) struct Recorder {
    pub(crate) ledger: Ledger,
    pub(crate) credential_uses: CredentialUses,
    pub(crate) metrics: Metrics,
}

impl Recorder {
    /// Records a batch of messages, and returns those that cannot be recorded as dead letters.
    pub(crate) async fn record(
        &self,
        messages: &[&Message],
        budget: &mut RetryBudget,
    ) -> Result<BatchOutcome, BudgetSpent> {
        let mut outcome = BatchOutcome::default();
        let mut events = Vec::with_capacity(messages.len());
        let mut origins = Vec::with_capacity(messages.len());
        for (place, message) in messages.iter().enumerate() {
            match read(message) {
                Reading::Event(event) => {
                    events.push(*event);
                    origins.push(Origin { place, message });
                }
                Reading::DeadLetter(letter) => {
                    outcome.dead_letters.insert(place, *letter);
                }
            }
        }
        if !events.is_empty() {
            self.record_events(&events, &origins, &mut outcome, budget)
                .await?;
        }
        self.report(messages, &events, &outcome);
        outcome.credentials = credential_uses::of_events(&events);
        Ok(outcome)
    }

    async fn record_events(
        &self,
        events: &[IncomingEvent],
        origins: &[Origin<'_>],
        outcome: &mut BatchOutcome,
        budget: &mut RetryBudget,
    ) -> Result<(), BudgetSpent> {
        let mut earlier = UnansweredCommits::default();
        let error = match self.retry_transient(events, &mut earlier, budget).await? {
            Ok(recorded) => {
                outcome.recorded = recorded;
                return Ok(());
            }
            Err(error) => error,
        };
        if events.len() > 1 {
            tracing::warn!(
                size = events.len(),
                "failed to record a batch, recording its events one by one: {error}"
            );
        }
        for (event, origin) in events.iter().zip(origins) {
            let event_alone = std::slice::from_ref(event);
            match self
                .retry_transient(event_alone, &mut earlier, budget)
                .await?
            {
                Ok(recorded) => outcome.recorded.extend(recorded),
                Err(error) => {
                    tracing::error!(
                        event_id = %event.id,
                        "failed to record an event, setting it aside as dead letter: {error}"
                    );
                    let letter = poison_event(event, origin.message, error.to_string());
                    outcome.dead_letters.insert(origin.place, letter);
                }
            }
        }
        Ok(())
    }

    /// Records events, and tries again after a transient error. The inner error is about the events
    /// themselves. A commit without an answer counts as what it was, so that its events are counted.
    async fn retry_transient(
        &self,
        events: &[IncomingEvent],
        earlier: &mut UnansweredCommits,
        budget: &mut RetryBudget,
    ) -> Result<Result<Vec<Recorded>, LedgerError>, BudgetSpent> {
        loop {
            match self.ledger.record_again(events, earlier).await {
                Err(error) if error.is_transient() => {
                    tracing::warn!(size = events.len(), "failed to record: {error}");
                    budget.wait_for_retry().await?;
                }
                outcome => return Ok(outcome),
            }
        }
    }

    fn report(&self, messages: &[&Message], events: &[IncomingEvent], outcome: &BatchOutcome) {
        let by_id: HashMap<EventId, &IncomingEvent> =
            events.iter().map(|event| (event.id, event)).collect();
        for recorded in &outcome.recorded {
            let Some(event) = by_id.get(&recorded.event) else {
                continue;
            };
            self.metrics
                .recorded(event.provider, &event.event.kind, recorded);
            let trace_id = event.trace_id.as_deref().unwrap_or_default();
            if recorded.flagged {
                tracing::warn!(
                    event_id = %recorded.event,
                    trace_id,
                    kind = known_kind(event.provider, &event.event.kind),
                    "event is flagged, a person must look at its payment"
                );
            }
            if let Some(currency) = &recorded.foreign_income {
                tracing::warn!(
                    event_id = %recorded.event,
                    trace_id,
                    %currency,
                    "income gets no tax receipt, because it is not in KES"
                );
            }
            for (payment, state) in &recorded.moves {
                tracing::info!(
                    event_id = %recorded.event,
                    trace_id,
                    payment_id = %payment,
                    %state,
                    "payment moved"
                );
            }
        }

        self.metrics.batch_size.observe(messages.len() as f64);
        tracing::debug!(
            size = messages.len(),
            dead_letters = outcome.dead_letters.len(),
            "batch recorded"
        );
    }
}
