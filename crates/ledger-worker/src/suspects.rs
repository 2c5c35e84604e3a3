//! Suspects: messages that were delivered too often. Each is tried alone (protocol C4).

use risiti_ledger::{Ledger, LedgerError};
use risiti_queue::{Consumer, Delivery};
use risiti_service::DatabaseHealth;
use tokio_util::sync::CancellationToken;

use crate::batches::acknowledge;
use crate::dead_letters::DeadLetters;
use crate::reading::{event_or_message_id, poison};
use crate::recorder::Recorder;
use crate::retry_budget::{BudgetSpent, RetryBudget};
use crate::wake_ups::WakeUps;

/// Two tries may kill their worker. The third is not made.
const TRIES_MAX: u32 = 3;

pub(crate) struct Suspects<'a> {
    pub(crate) ledger: &'a Ledger,
    pub(crate) database: &'a DatabaseHealth,
    pub(crate) recorder: &'a Recorder,
    pub(crate) wake_ups: &'a WakeUps,
    pub(crate) dead_letters: &'a DeadLetters,
    pub(crate) stop: &'a CancellationToken,
}

impl Suspects<'_> {
    /// Tries suspects until shutdown. `consumer` has a prefetch of one.
    pub(crate) async fn run(&self, mut consumer: Consumer) {
        consumer.pause();
        loop {
            tokio::select! {
                () = self.stop.cancelled() => break,
                () = self.database.wait_available() => consumer.resume(),
            }
            let delivery = tokio::select! {
                () = self.stop.cancelled() => break,
                delivery = consumer.next() => delivery,
            };
            let Some(delivery) = delivery else { break };
            if let Err(BudgetSpent) = self.handle(delivery).await {
                consumer.pause();
                self.database.report_lost();
            }
        }
        consumer.cancel();
    }

    async fn handle(&self, delivery: Delivery) -> Result<(), BudgetSpent> {
        let id = event_or_message_id(&delivery.message);
        let tries = self.retry(|| self.ledger.begin_suspect_try(id)).await?;
        tracing::info!(event_id = %id, tries, "trying a suspect alone");
        if tries >= TRIES_MAX {
            let why = format!("its worker did not survive {} tries", TRIES_MAX - 1);
            self.dead_letters
                .set_aside(&poison(&delivery.message, why), &mut self.retry_budget())
                .await?;
        } else if let Err(BudgetSpent) = self.record(&delivery).await {
            // This worker lives, so the message did not kill it, and this try does not count.
            if let Err(error) = self.ledger.forget_suspect_try(id).await {
                tracing::warn!(event_id = %id, "failed to take back a try: {error}");
            }
            return Err(BudgetSpent);
        }
        self.retry(|| self.ledger.close_suspect(id)).await?;
        acknowledge(vec![delivery]).await;
        Ok(())
    }

    async fn record(&self, delivery: &Delivery) -> Result<(), BudgetSpent> {
        let mut budget = self.retry_budget();
        let outcome = self
            .recorder
            .record(&[&delivery.message], &mut budget)
            .await?;
        self.wake_ups.publish_for(&outcome.recorded).await;
        for letter in &outcome.dead_letters {
            self.dead_letters.set_aside(letter, &mut budget).await?;
        }
        Ok(())
    }

    fn retry_budget(&self) -> RetryBudget {
        RetryBudget::new(self.stop.clone())
    }

    /// Does a statement about a suspect's tries, and does it again after any error.
    async fn retry<T, W>(&self, work: impl Fn() -> W) -> Result<T, BudgetSpent>
    where
        W: Future<Output = Result<T, LedgerError>>,
    {
        let mut budget = self.retry_budget();
        loop {
            match work().await {
                Ok(answer) => return Ok(answer),
                Err(error) => tracing::warn!("failed to record a suspect's tries: {error}"),
            }
            budget.wait_for_retry().await?;
        }
    }
}
