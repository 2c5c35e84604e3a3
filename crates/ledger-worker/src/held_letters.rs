//! Messages that are to be set aside, each with its own delivery. One whose dead letter the broker
//! does not take waits by itself, while everything else of its batch is acknowledged.

use risiti_ledger::MessageDeadLetter;
use risiti_queue::Delivery;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::dead_letters::DeadLetters;
use crate::retry_budget::{BudgetSpent, RetryBudget};

/// A message that is to be set aside, and the delivery to acknowledge afterwards.
pub(crate) struct HeldLetter {
    pub(crate) letter: MessageDeadLetter,
    pub(crate) delivery: Delivery,
}

/// Where dead letters of one queue wait.
pub(crate) struct LetterHold<'a> {
    dead_letters: &'a DeadLetters,
    /// A letter waits only in one of these places.
    places: Semaphore,
    stop: &'a CancellationToken,
}

impl<'a> LetterHold<'a> {
    /// No more than `waiting_max` letters wait after a try that failed.
    pub(crate) fn new(
        dead_letters: &'a DeadLetters,
        waiting_max: usize,
        stop: &'a CancellationToken,
    ) -> Self {
        Self {
            dead_letters,
            places: Semaphore::new(waiting_max),
            stop,
        }
    }

    /// Sets a message aside, and tries again for as long as the retry budget lasts. Without a place
    /// to wait in, one try is all.
    pub(crate) async fn set_aside(
        &self,
        letter: &MessageDeadLetter,
        delivery: &Delivery,
    ) -> Result<(), BudgetSpent> {
        let mut budget = RetryBudget::new(delivery.held_since, self.stop);
        let mut place = None;
        let trying = async |budget: &mut RetryBudget| {
            while !self.dead_letters.try_set_aside(letter).await {
                if place.is_none() {
                    let free = self.places.try_acquire().map_err(|_| BudgetSpent)?;
                    place = Some((free, self.dead_letters.metrics.letter_waits()));
                }
                // A stale delivery comes again, and with it another try.
                if delivery.is_stale() {
                    return Err(BudgetSpent);
                }
                budget.wait_for_retry().await?;
            }
            Ok(())
        };
        budget.spend_on(trying).await
    }

    /// Gives one message back to its queue, whose consumer goes on with the others. This counts
    /// against the delivery limit of this message alone, and beyond that limit it is a suspect.
    pub(crate) async fn give_back(&self, held: HeldLetter) {
        let event_id = held.letter.event_id.map(tracing::field::display);
        tracing::warn!(
            event_id,
            "giving a message back, because its dead letter is not taken"
        );
        if let Err(error) = held.delivery.reject_to_requeue().await {
            tracing::debug!("message comes back with its channel: {error}");
        }
    }
}
