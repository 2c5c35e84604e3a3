//! One replay pass. It goes over the dead-letter queue, bounded by the queue's depth at the start,
//! and then over the rows that no message stands for. A pass over named dead letters goes over
//! their rows only (protocol E3).

use std::ops::ControlFlow;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use risiti_ledger::{DeadLetterFilter, RunStatus};
use risiti_queue::{Broker, Delivery, Target};
use tokio_util::sync::CancellationToken;

use crate::dead_letter_handler::ItemOutcome;
use crate::in_hand::{InHand, PassCounts};
use crate::item_run::{ItemRun, acknowledge};
use crate::outcomes::MovedInvoices;
use crate::pace::Pace;

pub(crate) struct ReplayPass<'a> {
    items: Arc<ItemRun>,
    broker: &'a Broker,
    filter: &'a DeadLetterFilter,
    limit: Option<u64>,
    pace: Pace,
    /// Ends the pass between two dead letters.
    stop: CancellationToken,
    in_hand: InHand,
}

impl<'a> ReplayPass<'a> {
    pub(crate) fn new(
        items: ItemRun,
        broker: &'a Broker,
        filter: &'a DeadLetterFilter,
        limit: Option<u64>,
        pace: Pace,
        stop: CancellationToken,
    ) -> Self {
        let items = Arc::new(items);
        Self {
            in_hand: InHand::new(items.clone()),
            items,
            broker,
            filter,
            limit,
            pace,
            stop,
        }
    }

    /// Makes the pass. The counts are right also when it ends early.
    pub(crate) async fn run(mut self) -> (Result<()>, PassCounts, MovedInvoices) {
        let walked = self.walk().await;
        let ended = self.in_hand.end_all().await;
        let InHand { counts, moved, .. } = self.in_hand;
        (walked.and(ended), counts, moved)
    }

    /// Handles the queue first. Rows that are left after it have no message, or are newer than the
    /// run.
    ///
    /// AMQP cannot take one message out of the middle of a queue. Named dead letters are therefore
    /// handled by their rows, and every message stays where it is. The next pass over the queue
    /// finds those rows solved and drops their messages.
    async fn walk(&mut self) -> Result<()> {
        if self.filter.ids.is_empty() {
            if self.handle_queue().await?.is_break() {
                return Ok(());
            }
            // The rows of those in hand still look as if nobody had tried them.
            self.in_hand.end_all().await?;
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
            if self.wait_for_next().await?.is_break() {
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

    /// Waits until the pace and the bound of those in hand allow another dead letter. Breaks when
    /// the pass was stopped or has reached its limit.
    async fn wait_for_next(&mut self) -> Result<ControlFlow<()>> {
        loop {
            let limit = self.limit.unwrap_or(u64::MAX);
            if self.in_hand.matched() >= limit || self.stop.is_cancelled() {
                return Ok(ControlFlow::Break(()));
            }
            let (is_full, is_empty) = (self.in_hand.is_full(), self.in_hand.is_empty());
            tokio::select! {
                () = self.stop.cancelled() => {}
                ended = self.in_hand.end_one(), if !is_empty => ended?,
                () = self.pace.wait(), if !is_full => return Ok(ControlFlow::Continue(())),
            }
        }
    }

    async fn handle_message(&mut self, delivery: Delivery) -> Result<()> {
        let id = delivery.message.dead_letter_id();
        while self.in_hand.contains(id) {
            self.in_hand.end_one().await?;
        }

        let ledger = &self.items.handler.ledger;
        let item = ledger.run_item(id, self.filter, &self.items.run).await?;
        // Without a row, it may be about to be stored (protocol E1).
        let Some(item) = item else {
            return self.items.move_to_tail(delivery).await;
        };
        match item.status {
            RunStatus::Selected => {
                self.pace.count_one();
                self.in_hand.start(item, Some(delivery));
                Ok(())
            }
            RunStatus::NotSelected => self.items.move_to_tail(delivery).await,
            RunStatus::AlreadyTried => acknowledge(delivery).await,
            RunStatus::AlreadySolved { matches_filter } => {
                if matches_filter {
                    self.in_hand.count(&ItemOutcome::Skipped);
                }
                acknowledge(delivery).await
            }
        }
    }

    /// Handles the dead letters that the filter takes and this pass has not met yet, by their rows.
    async fn handle_rows(&mut self) -> Result<()> {
        let mut after = None;
        while self.wait_for_next().await?.is_continue() {
            let ledger = &self.items.handler.ledger;
            let next = ledger
                .next_run_item(after, self.filter, &self.items.run)
                .await?;
            let Some((dead_at, item)) = next else { break };
            after = Some((dead_at, item.id));
            self.pace.count_one();
            self.in_hand.start(item, None);
        }
        Ok(())
    }
}
