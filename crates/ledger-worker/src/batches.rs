//! Takes messages from the payments queue, batch after batch. The acknowledgement is always the
//! last effect.

use std::time::Duration;

use risiti_queue::{Consumer, Delivery, Message};
use risiti_service::DatabaseHealth;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::dead_letters::DeadLetters;
use crate::recorder::Recorder;
use crate::retry_budget::{BudgetSpent, RetryBudget};
use crate::settings::BatchArgs;
use crate::wake_ups::WakeUps;

/// A batch is one transaction, and its parameters are in memory at once. So the size of its bodies
/// is bounded as well as their number.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

pub(crate) struct Batches<'a> {
    pub(crate) settings: &'a BatchArgs,
    pub(crate) database: &'a DatabaseHealth,
    pub(crate) recorder: &'a Recorder,
    pub(crate) wake_ups: &'a WakeUps,
    pub(crate) dead_letters: &'a DeadLetters,
    pub(crate) stop: &'a CancellationToken,
}

impl Batches<'_> {
    /// Records batches until shutdown. While the database is away, nothing is taken and nothing is
    /// held (protocol B3).
    pub(crate) async fn run(&self, mut consumer: Consumer) {
        consumer.pause();
        loop {
            tokio::select! {
                () = self.stop.cancelled() => break,
                () = self.database.wait_available() => consumer.resume(),
            }
            let batch = tokio::select! {
                () = self.stop.cancelled() => break,
                batch = self.collect(&mut consumer) => batch,
            };
            if batch.is_empty() {
                break;
            }
            let begun = Instant::now();
            if let Err(BudgetSpent) = self.handle(batch).await {
                consumer.pause();
                self.database.report_lost();
            } else {
                self.recorder
                    .metrics
                    .batch_seconds
                    .observe(begun.elapsed().as_secs_f64());
            }
        }
        consumer.cancel();
    }

    /// Takes at least one delivery, and more for as long as `batch_wait` lasts and the batch is
    /// full neither by number nor by bytes. An empty batch means that the consumer has ended.
    async fn collect(&self, consumer: &mut Consumer) -> Vec<Delivery> {
        let size = usize::from(self.settings.batch_size);
        let mut batch = Vec::new();
        let Some(first) = consumer.next().await else {
            return batch;
        };
        let mut bytes = first.message.body.len();
        batch.push(first);

        let until = Instant::now() + self.settings.batch_wait.min(Duration::from_secs(5));
        while batch.len() < size && bytes < BATCH_BYTES_MAX {
            match timeout_at(until, consumer.next()).await {
                Ok(Some(delivery)) => {
                    bytes += delivery.message.body.len();
                    batch.push(delivery);
                }
                Ok(None) | Err(_) => break,
            }
        }
        batch
    }

    /// Commits, then wakes lanes, then acknowledges (protocol C2). When the retry budget is spent,
    /// the deliveries are dropped, and come back once the consumer is paused.
    async fn handle(&self, batch: Vec<Delivery>) -> Result<(), BudgetSpent> {
        let messages: Vec<&Message> = batch.iter().map(|delivery| &delivery.message).collect();
        let mut budget = RetryBudget::new(self.stop.clone());
        let outcome = self.recorder.record(&messages, &mut budget).await?;
        self.wake_ups.publish_for(&outcome.recorded).await;
        for letter in &outcome.dead_letters {
            self.dead_letters.set_aside(letter, &mut budget).await?;
        }
        acknowledge(batch).await;
        Ok(())
    }
}

/// Acknowledges a batch. When an acknowledgement is lost, its message comes back and is recognised
/// as a duplicate.
pub(crate) async fn acknowledge(batch: Vec<Delivery>) {
    let lost = Delivery::ack_all(batch).await;
    if lost > 0 {
        tracing::info!(
            lost,
            "acknowledgements lost, their messages will be delivered again"
        );
    }
}
