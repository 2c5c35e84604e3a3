//! One batch, from messages to what the books say: recorded together, else one by one (protocol C3).

use risiti_ledger::{IncomingEvent, Ledger, LedgerError, MessageDeadLetter, Recorded};
use risiti_queue::Message;

use crate::metrics::Metrics;
use crate::patience::Patience;
use crate::read::{Reading, poison, read};

/// What a batch came to. Every message is in exactly one of the two, unless it was given up.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) recorded: Vec<Recorded>,
    pub(crate) aside: Vec<MessageDeadLetter>,
}

/// The database is away, or the program is to end: what is held goes back to the queue.
#[derive(Debug)]
pub(crate) struct GivenUp;

pub(crate) struct Recorder {
    pub(crate) ledger: Ledger,
    pub(crate) metrics: Metrics,
}

impl Recorder {
    /// Records a batch of messages; what cannot be recorded is told back, to be set aside.
    pub(crate) async fn record(
        &self,
        messages: &[&Message],
        patience: &mut Patience,
    ) -> Result<Outcome, GivenUp> {
        let mut outcome = Outcome::default();
        let mut events = Vec::with_capacity(messages.len());
        let mut origins = Vec::with_capacity(messages.len());
        for message in messages {
            match read(message) {
                Reading::Event(event) => {
                    events.push(*event);
                    origins.push(*message);
                }
                Reading::Aside(letter) => outcome.aside.push(*letter),
            }
        }
        if !events.is_empty() {
            self.record_events(&events, &origins, &mut outcome, patience)
                .await?;
        }
        self.tell(messages, &events, &outcome);
        Ok(outcome)
    }

    async fn record_events(
        &self,
        events: &[IncomingEvent],
        origins: &[&Message],
        outcome: &mut Outcome,
        patience: &mut Patience,
    ) -> Result<(), GivenUp> {
        let error = match self.patiently(events, patience).await? {
            Ok(recorded) => {
                outcome.recorded = recorded;
                return Ok(());
            }
            Err(error) => error,
        };
        if events.len() > 1 {
            tracing::warn!(
                size = events.len(),
                "failed to record a batch, recording it one by one: {error}"
            );
        }
        for (event, message) in events.iter().zip(origins) {
            match self
                .patiently(std::slice::from_ref(event), patience)
                .await?
            {
                Ok(recorded) => outcome.recorded.extend(recorded),
                Err(error) => {
                    tracing::error!(event_id = %event.id, "failed to record an event, setting it aside: {error}");
                    outcome.aside.push(poison(message, error.to_string()));
                }
            }
        }
        Ok(())
    }

    /// The inner error is about the events themselves.
    async fn patiently(
        &self,
        events: &[IncomingEvent],
        patience: &mut Patience,
    ) -> Result<Result<Vec<Recorded>, LedgerError>, GivenUp> {
        loop {
            match self.ledger.record_batch(events).await {
                Err(error) if error.is_transient() => {
                    tracing::warn!(size = events.len(), "failed to record: {error}");
                    if !patience.again().await {
                        return Err(GivenUp);
                    }
                }
                done => return Ok(done),
            }
        }
    }

    fn tell(&self, messages: &[&Message], events: &[IncomingEvent], outcome: &Outcome) {
        for recorded in &outcome.recorded {
            let Some(event) = events.iter().find(|event| event.id == recorded.event) else {
                continue;
            };
            self.metrics
                .recorded(event.provider, &event.event.kind, recorded);
            let trace_id = event.trace_id.as_deref().unwrap_or_default();
            if recorded.flagged {
                tracing::warn!(event_id = %recorded.event, trace_id, kind = event.event.kind, "event contradicts what is known, a person has to look");
            }
            for (payment, state) in &recorded.moves {
                tracing::info!(event_id = %recorded.event, trace_id, payment_id = %payment, %state, "payment moved");
            }
        }
        self.metrics.batch_size.observe(messages.len() as f64);
        tracing::debug!(
            size = messages.len(),
            aside = outcome.aside.len(),
            "batch recorded"
        );
    }
}
