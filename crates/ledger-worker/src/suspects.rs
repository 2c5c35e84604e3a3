//! Suspects: messages that were delivered too often. Each is tried alone (protocol C4).

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use risiti_ledger::{Ledger, LedgerError};
use risiti_queue::{Consumer, Delivery};
use risiti_service::DatabaseHealth;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::ConsumerEnded;
use crate::batches::acknowledge;
use crate::dead_letters::DeadLetters;
use crate::held_letters::{HeldLetter, LetterHold};
use crate::reading::{event_or_message_id, poison};
use crate::recorder::Recorder;
use crate::retry_budget::{BudgetSpent, RetryBudget};
use crate::wake_ups::WakeUps;

/// Two tries may kill their worker. The third is not made.
const TRIES_MAX: u32 = 3;
/// Suspects that wait until the broker takes their dead letters.
const LETTERS_MAX: usize = 8;
/// One is tried while others wait for the broker.
pub(crate) const PREFETCH: u16 = LETTERS_MAX as u16 + 1;

pub(crate) struct Suspects<'a> {
    pub(crate) ledger: &'a Ledger,
    pub(crate) database: &'a DatabaseHealth,
    pub(crate) recorder: &'a Recorder,
    pub(crate) wake_ups: &'a WakeUps,
    pub(crate) dead_letters: &'a DeadLetters,
    pub(crate) stop: &'a CancellationToken,
}

/// Why a span of tries ended.
enum End {
    Shutdown,
    Consumer,
    /// The probe does not reach the database, and nothing is held.
    DatabaseLost,
}

/// A suspect that is to be set aside.
struct Letter {
    /// By which its tries are counted.
    id: Uuid,
    held: HeldLetter,
    counts: TryCounts,
}

/// Whether a try counts although its suspect is given back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TryCounts {
    Yes,
    No,
}

impl Suspects<'_> {
    /// Tries suspects until shutdown, one by one. `consumer` has the prefetch [`PREFETCH`], so that
    /// one whose dead letter waits does not keep the others waiting.
    pub(crate) async fn run(&self, mut consumer: Consumer) -> Result<(), ConsumerEnded> {
        consumer.pause();
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return Ok(()),
                () = self.database.wait_available() => consumer.resume(),
            }
            match self.try_all(&mut consumer).await {
                Ok(End::Shutdown) => return Ok(()),
                Ok(End::Consumer) => return Err(ConsumerEnded("suspects")),
                Ok(End::DatabaseLost) => consumer.pause(),
                Err(BudgetSpent) => {
                    consumer.pause();
                    self.database.report_lost();
                }
            }
        }
    }

    async fn try_all(&self, consumer: &mut Consumer) -> Result<End, BudgetSpent> {
        let hold = LetterHold::new(self.dead_letters, LETTERS_MAX, self.stop);
        let mut letters = FuturesUnordered::new();
        let end = loop {
            let idle = letters.is_empty() && consumer.is_empty();
            tokio::select! {
                () = self.stop.cancelled() => break Ok(End::Shutdown),
                () = self.database.wait_unavailable(), if idle => return Ok(End::DatabaseLost),
                Some(()) = letters.next() => {}
                delivery = consumer.next(), if letters.len() < LETTERS_MAX => {
                    let Some(delivery) = delivery else { break Ok(End::Consumer) };
                    match self.try_alone(delivery).await {
                        Ok(letter) => letters.extend(letter.map(|letter| self.settle(&hold, letter))),
                        Err(BudgetSpent) => break Err(BudgetSpent),
                    }
                }
            }
        };
        if end.is_ok() {
            consumer.cancel();
        }
        while letters.next().await.is_some() {}
        end
    }

    /// Tries one suspect (protocol C4). One that is recorded is acknowledged too.
    async fn try_alone(&self, delivery: Delivery) -> Result<Option<Letter>, BudgetSpent> {
        let id = event_or_message_id(&delivery.message);
        let held_since = delivery.held_since;
        let begin = || self.ledger.begin_suspect_try(id);
        let tries = self.retry(held_since, begin).await?;
        tracing::info!(event_id = %id, tries, "trying a suspect alone");
        if tries >= TRIES_MAX {
            let why = format!("its worker did not survive {} tries", TRIES_MAX - 1);
            let letter = poison(&delivery.message, why);
            let held = HeldLetter { letter, delivery };
            let counts = TryCounts::Yes;
            return Ok(Some(Letter { id, held, counts }));
        }

        let mut budget = RetryBudget::new(held_since, self.stop);
        let messages = [&delivery.message];
        let recording =
            async |budget: &mut RetryBudget| self.recorder.record(&messages, budget).await;
        let mut outcome = match budget.spend_on(recording).await {
            Ok(outcome) => outcome,
            Err(BudgetSpent) => {
                self.take_back_try(id).await;
                return Err(BudgetSpent);
            }
        };
        self.wake_ups.publish_for(&outcome.recorded).await;
        if let Some((_, letter)) = outcome.dead_letters.pop_first() {
            let held = HeldLetter { letter, delivery };
            let counts = TryCounts::No;
            return Ok(Some(Letter { id, held, counts }));
        }
        self.retry(held_since, || self.ledger.close_suspect(id))
            .await?;
        acknowledge(vec![delivery]).await;
        Ok(None)
    }

    /// Sets a suspect aside and closes it, or gives it back.
    async fn settle(&self, hold: &LetterHold<'_>, letter: Letter) {
        let Letter { id, held, counts } = letter;
        let held_since = held.delivery.held_since;
        let settling = async {
            hold.set_aside(&held.letter, &held.delivery).await?;
            self.retry(held_since, || self.ledger.close_suspect(id))
                .await
        };
        match settling.await {
            Ok(()) => acknowledge(vec![held.delivery]).await,
            Err(BudgetSpent) => {
                if counts == TryCounts::No {
                    self.take_back_try(id).await;
                }
                hold.give_back(held).await;
            }
        }
    }

    /// This worker lives, so the message did not kill it, and its try does not count.
    async fn take_back_try(&self, id: Uuid) {
        if let Err(error) = self.ledger.forget_suspect_try(id).await {
            tracing::warn!(event_id = %id, "failed to take back a try: {error}");
        }
    }

    /// Does a statement about a suspect's tries, and does it again after any error.
    async fn retry<T, W>(&self, held_since: Instant, work: impl Fn() -> W) -> Result<T, BudgetSpent>
    where
        W: Future<Output = Result<T, LedgerError>>,
    {
        let mut budget = RetryBudget::new(held_since, self.stop);
        let trying = async |budget: &mut RetryBudget| loop {
            match work().await {
                Ok(answer) => return Ok(answer),
                Err(error) => tracing::warn!("failed to record a suspect's tries: {error}"),
            }
            budget.wait_for_retry().await?;
        };
        budget.spend_on(trying).await
    }
}
