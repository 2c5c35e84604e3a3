//! One dead letter of a pass, from the first try to the acknowledgement of its message.

use std::time::Duration;

use anyhow::{Context as _, Result};
use indicatif::ProgressBar;
use risiti_ledger::{ReplayRun, RunItem};
use risiti_queue::{BrokerError, Delivery, Message, PublishError, Target};

use crate::dead_letter_handler::{DeadLetterHandler, HandleError, ItemOutcome};
use crate::output::Output;

/// The pause between two tries of a dead letter.
const RETRY_PAUSE: Duration = Duration::from_millis(300);
const TRIES_MAX: u32 = 5;
/// The bytes of headers that are kept of a message with more headers than our publisher takes. Our
/// own messages have far fewer.
const KEPT_HEADERS_BYTES_MAX: usize = 32 * 1024;

/// What every dead letter of a pass needs.
pub(crate) struct ItemRun {
    pub(crate) handler: DeadLetterHandler,
    pub(crate) run: ReplayRun,
    pub(crate) bar: ProgressBar,
    pub(crate) out: Output,
}

impl ItemRun {
    /// Handles a dead letter and then its message, if one was found.
    pub(crate) async fn handle(
        &self,
        item: &RunItem,
        delivery: Option<Delivery>,
    ) -> Result<ItemOutcome> {
        let outcome = self.handle_with_retries(item).await?;
        if let ItemOutcome::Failed(reason) = &outcome {
            self.bar
                .suspend(|| self.out.note(&format!("{}: {reason}", item.id)));
        }
        if let ItemOutcome::LookUpFirst | ItemOutcome::Failed(_) = outcome {
            let ledger = &self.handler.ledger;
            ledger.mark_tried(item.id, &self.run).await?;
        }
        match (delivery, &outcome) {
            (Some(delivery), ItemOutcome::Failed(_)) => self.move_to_tail(delivery).await?,
            (Some(delivery), _) => acknowledge(delivery).await?,
            (None, _) => {}
        }
        Ok(outcome)
    }

    /// Tries again after a deadlock, a short failure of the database or a failed publish, so that
    /// it does not end the run. A row that the database refuses fails alone.
    async fn handle_with_retries(&self, item: &RunItem) -> Result<ItemOutcome> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.handler.handle(item).await {
                Ok(outcome) => return Ok(outcome),
                Err(HandleError::Ledger(error)) if !error.is_transient() => {
                    return Ok(ItemOutcome::Failed(error.to_string()));
                }
                Err(error) if tries >= TRIES_MAX => return Err(error.into()),
                Err(_) => tokio::time::sleep(RETRY_PAUSE).await,
            }
        }
    }

    /// Moves a message to the tail of the queue.
    pub(crate) async fn move_to_tail(&self, delivery: Delivery) -> Result<()> {
        self.publish_at_tail(delivery.message.clone())
            .await
            .context("failed to put a dead letter back")?;
        acknowledge(delivery).await
    }

    /// A message that is not ours may have more headers than our publisher takes. It keeps those
    /// that fit.
    async fn publish_at_tail(&self, message: Message) -> Result<(), PublishError> {
        let published = self.publish(message.clone()).await;
        if !matches!(published, Err(PublishError::Oversized)) {
            return published;
        }

        let mut left = KEPT_HEADERS_BYTES_MAX;
        let headers = message.headers.into_iter().filter(|(name, value)| {
            let fits = left.checked_sub(name.len() + value.len() + 8);
            left = fits.unwrap_or(left);
            fits.is_some()
        });
        let headers = headers.collect();
        self.publish(Message { headers, ..message }).await
    }

    async fn publish(&self, message: Message) -> Result<(), PublishError> {
        let timeout = self.handler.publish_timeout;
        let publisher = &self.handler.publisher;
        publisher.publish(Target::Dead, message, timeout).await
    }
}

pub(crate) async fn acknowledge(delivery: Delivery) -> Result<()> {
    match delivery.ack().await {
        // A stale delivery comes again, and its dead letter is then found to be solved.
        Ok(()) | Err(BrokerError::Stale) => Ok(()),
        Err(error) => Err(error).context("failed to acknowledge a dead letter"),
    }
}
