//! Taking from the payments queue, batch after batch. The acknowledgement is always the last effect.

use std::time::Duration;

use risiti_queue::{Consumer, Delivery, Message};
use risiti_service::DatabaseHealth;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::aside::Pile;
use crate::patience::Patience;
use crate::recorder::{GivenUp, Recorder};
use crate::settings::BatchArgs;
use crate::tokens::Waker;

/// A batch is one transaction and one set of parameters in memory, so bodies bound it as well as their number.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

pub(crate) struct Batches<'a> {
    pub(crate) settings: &'a BatchArgs,
    pub(crate) database: &'a DatabaseHealth,
    pub(crate) recorder: &'a Recorder,
    pub(crate) waker: &'a Waker,
    pub(crate) pile: &'a Pile,
    pub(crate) stop: &'a CancellationToken,
}

impl Batches<'_> {
    /// Until shutdown. While the database is away nothing is taken and nothing is held (protocol B3).
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
            if let Err(GivenUp) = self.handle(batch).await {
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

    /// At least one delivery; more as long as they come at once, and the batch is full neither
    /// by number nor by bytes. Empty: the
    /// consumer has ended.
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

    /// Commit, then tokens, then acknowledge (protocol C2). Given up: the deliveries are dropped, and come
    /// back once the consumer is paused.
    async fn handle(&self, batch: Vec<Delivery>) -> Result<(), GivenUp> {
        let messages: Vec<&Message> = batch.iter().map(|delivery| &delivery.message).collect();
        let mut patience = Patience::new(self.stop.clone());
        let outcome = self.recorder.record(&messages, &mut patience).await?;
        self.waker.wake(&outcome.recorded).await;
        for letter in &outcome.aside {
            self.pile.put(letter, &mut patience).await?;
        }
        acknowledge(batch).await;
        Ok(())
    }
}

/// A lost acknowledgement brings the message back, and it is recognised then.
pub(crate) async fn acknowledge(batch: Vec<Delivery>) {
    let lost = Delivery::ack_all(batch).await;
    if lost > 0 {
        tracing::info!(lost, "acknowledgements lost, the messages come again");
    }
}
