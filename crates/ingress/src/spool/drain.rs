//! Drains the spool to the broker, in order, while live webhooks go straight there.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use risiti_queue::{Broker, PublishError, Publisher, Target};
use risiti_spool::{Entry, Spool};
use tokio::time::timeout;

use super::message;
use super::progress::{EntryOutcome, PAUSE_MAX, Progress};

/// Publishes at once. It is a small part of what the publisher allows, and the rest is for live webhooks.
const PUBLISHES_AT_ONCE: usize = 16;
/// Bounds of a batch, whose entries are read, published and removed together.
const BATCH_ENTRIES: usize = 128;
const BATCH_BYTES: usize = 4 << 20;

pub(crate) struct Drainer {
    pub(crate) spool: Spool,
    pub(crate) broker: Broker,
    pub(crate) publisher: Publisher,
    pub(crate) publish_timeout: Duration,
}

impl Drainer {
    /// Drains until dropped.
    pub(crate) async fn run(self) {
        let mut status = self.spool.status();
        let mut progress = Progress::new();
        loop {
            self.broker.wait_up().await;

            let count = if progress.is_probing() {
                1
            } else {
                BATCH_ENTRIES
            };
            let Ok(entries) = self.spool.read(progress.after(), count, BATCH_BYTES).await else {
                timeout(PAUSE_MAX, status.changed()).await.ok();
                continue;
            };
            if entries.is_empty() {
                progress.wait_at_the_end(&mut status).await;
                continue;
            }

            let outcomes = self.publish(&entries).await;
            let confirmed = entries
                .iter()
                .zip(&outcomes)
                .filter(|(_, outcome)| matches!(outcome, EntryOutcome::Confirmed));
            self.spool.remove(confirmed.map(|(entry, _)| entry.number));

            if let Some(pause) = progress.record_batch(&entries, &outcomes) {
                self.pause(pause).await;
            }
        }
    }

    async fn publish(&self, entries: &[Entry]) -> Vec<EntryOutcome> {
        let publishes: Vec<_> = entries
            .iter()
            .map(|entry| self.publish_one(entry))
            .collect();
        stream::iter(publishes)
            .buffered(PUBLISHES_AT_ONCE)
            .collect()
            .await
    }

    async fn publish_one(&self, entry: &Entry) -> EntryOutcome {
        let Some(message) = message::decode(&entry.bytes) else {
            tracing::error!(
                number = entry.number,
                "a spool entry is not a message; it stays in the spool"
            );
            return EntryOutcome::Refused;
        };

        let event_id = message.id;
        let published = self
            .publisher
            .publish(Target::Payments, message, self.publish_timeout)
            .await;

        match published {
            Ok(()) => EntryOutcome::Confirmed,
            Err(
                PublishError::Down
                | PublishError::Blocked
                | PublishError::Timeout
                | PublishError::TooBusy
                | PublishError::Lost,
            ) => EntryOutcome::NoAnswer,
            Err(error) => {
                tracing::warn!(%event_id, %error, "the broker does not take a spooled webhook");
                EntryOutcome::Refused
            }
        }
    }

    /// Waits for this time, or until the state of the broker changes.
    async fn pause(&self, pause: Duration) {
        let mut state = self.broker.state();
        state.mark_unchanged();
        timeout(pause, state.changed()).await.ok();
    }
}
