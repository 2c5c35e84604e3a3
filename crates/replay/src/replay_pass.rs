//! One replay pass. It goes over the dead-letter queue, bounded by the queue's depth at the start,
//! and then over the rows that no message stands for. A pass over named dead letters goes over
//! their rows only (protocol E3).

use std::ops::ControlFlow;
use std::time::Duration;

use anyhow::{Context as _, Result};
use indicatif::ProgressBar;
use risiti_ledger::{DeadLetterFilter, Ledger, ReplayRun, RunCounts, RunItem, RunStatus};
use risiti_queue::{Broker, BrokerError, Delivery, Message, PublishError, Publisher, Target};
use tokio_util::sync::CancellationToken;

use crate::dead_letter_handler::{DeadLetterHandler, HandleError, ItemOutcome};
use crate::output::Output;
use crate::pace::Pace;

/// The pause between two tries of a dead letter.
const RETRY_PAUSE: Duration = Duration::from_millis(300);
const TRIES_MAX: u32 = 5;
/// The bytes of headers that are kept of a message with more headers than our publisher takes. Our
/// own messages have far fewer.
const KEPT_HEADERS_BYTES_MAX: usize = 32 * 1024;

pub(crate) struct ReplayPass<'a> {
    pub(crate) ledger: &'a Ledger,
    pub(crate) broker: &'a Broker,
    pub(crate) publisher: Publisher,
    pub(crate) publish_timeout: Duration,
    pub(crate) handler: DeadLetterHandler,
    pub(crate) filter: &'a DeadLetterFilter,
    pub(crate) run: &'a ReplayRun,
    pub(crate) limit: Option<u64>,
    pub(crate) pace: Pace,
    /// Ends the pass between two dead letters.
    pub(crate) stop: CancellationToken,
    pub(crate) bar: ProgressBar,
    pub(crate) out: Output,
    pub(crate) counts: RunCounts,
    /// How many of `counts.matched` were left to their lanes to look up.
    pub(crate) looked_up_first: u64,
}

/// What happens to a message after its dead letter was handled.
enum NextStep {
    Acknowledge,
    MoveToTail,
}

impl ReplayPass<'_> {
    /// Handles the queue first. Rows that are left after it have no message, or are newer than the
    /// run.
    ///
    /// AMQP cannot take one message out of the middle of a queue. Named dead letters are therefore
    /// handled by their rows, and every message stays where it is. The next pass over the queue
    /// finds those rows solved and drops their messages.
    pub(crate) async fn run(&mut self) -> Result<()> {
        if self.filter.ids.is_empty() && self.handle_queue().await?.is_break() {
            return Ok(());
        }
        self.handle_rows().await
    }

    /// Handles as many messages as the queue has at the start. Breaks when the pass was stopped or
    /// has reached its limit.
    async fn handle_queue(&mut self) -> Result<ControlFlow<()>> {
        let depth = self
            .broker
            .depth(Target::Dead)
            .await
            .context("failed to look at the dead-letter queue")?;
        for _ in 0..depth {
            if self.wait_for_next().await.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            let got = self
                .broker
                .get(Target::Dead)
                .await
                .context("failed to take a dead letter")?;
            let Some(delivery) = got else { break };
            self.handle_message(delivery).await?;
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Waits until the pace allows another dead letter. Breaks when the pass was stopped or has
    /// reached its limit.
    async fn wait_for_next(&self) -> ControlFlow<()> {
        let at_limit = self.limit.is_some_and(|limit| self.counts.matched >= limit);
        if at_limit {
            return ControlFlow::Break(());
        }
        let waited = self.stop.run_until_cancelled(self.pace.wait()).await;
        if waited.is_none() || self.stop.is_cancelled() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    async fn handle_message(&mut self, delivery: Delivery) -> Result<()> {
        let id = delivery.message.dead_letter_id();
        let item = self.ledger.run_item(id, self.filter, self.run).await?;
        let next_step = match item {
            // Its row may be about to be stored (protocol E1).
            None => NextStep::MoveToTail,
            Some(item) => match item.status {
                RunStatus::Selected => self.handle(&item).await?,
                RunStatus::NotSelected => NextStep::MoveToTail,
                RunStatus::AlreadyTried => NextStep::Acknowledge,
                RunStatus::AlreadySolved { matches_filter } => {
                    if matches_filter {
                        self.count(&ItemOutcome::Skipped);
                    }
                    NextStep::Acknowledge
                }
            },
        };

        if let NextStep::MoveToTail = next_step {
            self.publish_at_tail(delivery.message.clone())
                .await
                .context("failed to put a dead letter back")?;
        }
        match delivery.ack().await {
            // A stale delivery comes again, and its dead letter is then found to be solved.
            Ok(()) | Err(BrokerError::Stale) => Ok(()),
            Err(error) => Err(error).context("failed to acknowledge a dead letter"),
        }
    }

    /// Publishes a message at the tail of the queue. A message that is not ours may have more
    /// headers than our publisher takes. It keeps those that fit.
    async fn publish_at_tail(&self, message: Message) -> Result<(), PublishError> {
        let published = self
            .publisher
            .publish(Target::Dead, message.clone(), self.publish_timeout)
            .await;
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
        self.publisher
            .publish(
                Target::Dead,
                Message { headers, ..message },
                self.publish_timeout,
            )
            .await
    }

    /// Handles the dead letters that the filter takes and this pass has not met yet, by their rows.
    async fn handle_rows(&mut self) -> Result<()> {
        let mut after = None;
        while self.wait_for_next().await.is_continue() {
            let next = self
                .ledger
                .next_run_item(after, self.filter, self.run)
                .await?;
            let Some((dead_at, item)) = next else { break };
            self.handle(&item).await?;
            after = Some((dead_at, item.id));
        }
        Ok(())
    }

    async fn handle(&mut self, item: &RunItem) -> Result<NextStep> {
        self.pace.count_one();
        let outcome = self.handle_with_retries(item).await?;
        let next_step = match &outcome {
            ItemOutcome::Moved | ItemOutcome::Skipped => NextStep::Acknowledge,
            ItemOutcome::LookUpFirst => {
                self.ledger.mark_tried(item.id, self.run).await?;
                NextStep::Acknowledge
            }
            ItemOutcome::Failed(reason) => {
                self.bar
                    .suspend(|| self.out.note(&format!("{}: {reason}", item.id)));
                self.ledger.mark_tried(item.id, self.run).await?;
                NextStep::MoveToTail
            }
        };
        self.count(&outcome);
        Ok(next_step)
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

    fn count(&mut self, outcome: &ItemOutcome) {
        self.counts.matched += 1;
        match outcome {
            ItemOutcome::Moved => self.counts.done += 1,
            ItemOutcome::LookUpFirst => self.looked_up_first += 1,
            ItemOutcome::Skipped => self.counts.skipped += 1,
            ItemOutcome::Failed(_) => self.counts.failed += 1,
        }
        self.bar.inc(1);
    }
}
