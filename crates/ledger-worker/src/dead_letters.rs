//! Setting messages aside as dead letters. A message is published to the dead-letter exchange, then
//! its row is stored, and only then is the original acknowledged (protocol E1).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use risiti_ledger::{Ledger, LedgerError, MessageDeadLetter};
use risiti_queue::{DeadLetterFacts, Message, PublishError, Publisher, Target, replays};
use tokio::sync::Mutex;

use crate::letter_rates::LetterRates;
use crate::metrics::Metrics;
use crate::retry_budget::{BudgetSpent, RetryBudget};

pub(crate) struct DeadLetters {
    ledger: Ledger,
    publisher: Publisher,
    publish_timeout: Duration,
    pub(crate) metrics: Metrics,
    turns: Turns,
    rates: LetterRates,
}

/// Letters are set aside side by side, because the broker may take long to refuse one.
struct Turns {
    /// One letter at a time uses the database, so that many of them leave connections for batches.
    database: Mutex<()>,
    /// Letters with the same body take turns, so that the second finds the row of the first.
    same_body: [Mutex<()>; 16],
}

#[derive(Debug, thiserror::Error)]
enum SetAsideError {
    #[error("dead-letter exchange: {0}")]
    Publish(#[from] PublishError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl DeadLetters {
    pub(crate) fn new(
        ledger: Ledger,
        publisher: Publisher,
        publish_timeout: Duration,
        metrics: Metrics,
    ) -> Self {
        Self {
            ledger,
            publisher,
            publish_timeout,
            metrics,
            turns: Turns {
                database: Mutex::default(),
                same_body: Default::default(),
            },
            rates: LetterRates::default(),
        }
    }

    /// Stores the unreadable bodies of a batch whose merchant sends too many, in one transaction and
    /// without a message in `[dead]` for each, and removes them from the batch's letters. So they
    /// cost other merchants no more than payments would. A replay finds them by their rows.
    pub(crate) async fn store_those_over_rate(
        &self,
        letters: &mut BTreeMap<usize, MessageDeadLetter>,
        budget: &mut RetryBudget,
    ) -> Result<(), BudgetSpent> {
        let places = self.rates.over_rate(letters);
        if places.is_empty() {
            return Ok(());
        }
        let new = loop {
            let over = places.iter().filter_map(|place| letters.get(place));
            match self.ledger.insert_message_dead_letters(over).await {
                Ok(new) => break new,
                Err(error) if error.is_transient() => {
                    tracing::warn!("failed to store unreadable messages: {error}");
                    budget.wait_for_retry().await?;
                }
                // One of them is refused. Set aside one by one, it fails alone.
                Err(error) => {
                    tracing::warn!("failed to store unreadable messages at once: {error}");
                    return Ok(());
                }
            }
        };
        let stored = places.iter().filter_map(|place| letters.remove(place));
        let merchants: BTreeSet<_> = stored.filter_map(|letter| letter.merchant_id).collect();
        self.metrics.grouped_letters(places.len(), new);
        for merchant_id in merchants {
            tracing::warn!(
                %merchant_id,
                "a merchant's address gets many unreadable messages, and they are stored without a message each: \
                 `risiti-replay list --group` shows them"
            );
        }
        Ok(())
    }

    /// Tries once to set a message aside, and returns whether it is. Setting it aside twice leaves
    /// one row, and at worst a second message, which replay skips.
    pub(crate) async fn try_set_aside(&self, letter: &MessageDeadLetter) -> bool {
        let tried = self.publish_and_store(letter).await;
        if let Err(error) = &tried {
            let event_id = letter.event_id.map(tracing::field::display);
            tracing::warn!(
                event_id,
                "failed to set a message aside as dead letter: {error}"
            );
        }
        tried.is_ok()
    }

    async fn publish_and_store(&self, letter: &MessageDeadLetter) -> Result<(), SetAsideError> {
        let turns_of_body = &self.turns.same_body;
        let place = usize::from(letter.id().as_bytes()[15]) % turns_of_body.len();
        let _turn = turns_of_body[place].lock().await;
        let known = {
            let _turn = self.turns.database.lock().await;
            self.ledger.count_dead_letter_again(letter).await?
        };
        if known {
            return Ok(());
        }
        let facts = facts(letter);
        let body = Bytes::from(letter.body.clone());
        let message = Message::dead_letter(&facts, letter.headers.clone(), body.clone());
        match self
            .publisher
            .publish(Target::Dead, message, self.publish_timeout)
            .await
        {
            Err(PublishError::Oversized) => {
                // The row keeps all headers. The message needs only those that replay finds it by.
                let without_headers = Message::dead_letter(&facts, BTreeMap::new(), body);
                self.publisher
                    .publish(Target::Dead, without_headers, self.publish_timeout)
                    .await?;
            }
            published => published?,
        }

        let _turn = self.turns.database.lock().await;
        self.ledger.insert_message_dead_letter(letter).await?;
        self.metrics.dead_letter(letter.cause);
        let event_id = letter.event_id.map(tracing::field::display);
        tracing::warn!(
            event_id,
            cause = %letter.cause,
            dead_letter_id = %letter.id(),
            "message set aside as dead letter: {}",
            letter.message
        );
        Ok(())
    }
}

fn facts(letter: &MessageDeadLetter) -> DeadLetterFacts {
    DeadLetterFacts {
        id: letter.id(),
        cause: letter.cause.to_string(),
        message: letter.message.clone(),
        event_id: letter.event_id.map(|id| id.uuid()),
        merchant_id: letter.merchant_id.map(|id| id.uuid()),
        replays: Some(replays(&letter.headers).unwrap_or("0").to_owned()),
        ..DeadLetterFacts::default()
    }
}

#[cfg(test)]
mod tests {
    use risiti_domain::{DeadCause, EventId, MerchantId, Provider};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn dead_letter_message_has_cause_and_original_headers() {
        let letter = MessageDeadLetter {
            cause: DeadCause::Unreadable,
            merchant_id: Some(MerchantId::from_uuid(Uuid::nil())),
            provider: Some(Provider::Daraja),
            event_id: Some(EventId::from_uuid(Uuid::nil())),
            body: b"{".to_vec(),
            headers: BTreeMap::from([
                ("risiti-envelope".to_owned(), "{}".to_owned()),
                ("risiti-replays".to_owned(), "2".to_owned()),
            ]),
            message: "body: not JSON".to_owned(),
        };
        let message = Message::dead_letter(&facts(&letter), letter.headers.clone(), Bytes::new());
        assert_eq!(message.id, letter.id());
        let header = |name: &str| message.headers.get(name).map(String::as_str);
        assert_eq!(header("risiti-envelope"), Some("{}"));
        assert_eq!(header("risiti-cause"), Some("unreadable"));
        assert_eq!(header("risiti-replays"), Some("2"));
        assert_eq!(
            header("risiti-dead-letter-id"),
            Some(&*letter.id().to_string())
        );
    }
}
