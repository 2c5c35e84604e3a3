//! Setting messages aside: published to the dead-letter exchange, then a row, and only then acknowledged
//! (protocol E1).

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use risiti_ledger::{Ledger, LedgerError, MessageDeadLetter};
use risiti_queue::{DeadLetterFacts, Message, PublishError, Publisher, Target, replays};

use crate::metrics::Metrics;
use crate::patience::Patience;
use crate::recorder::GivenUp;

pub(crate) struct Pile {
    pub(crate) ledger: Ledger,
    pub(crate) publisher: Publisher,
    pub(crate) publish_timeout: Duration,
    pub(crate) metrics: Metrics,
}

#[derive(Debug, thiserror::Error)]
enum AsideError {
    #[error("dead-letter exchange: {0}")]
    Publish(#[from] PublishError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl Pile {
    /// Until it is on the pile for good. Doing it twice leaves one row, and at worst a second message that
    /// replay skips.
    pub(crate) async fn put(
        &self,
        letter: &MessageDeadLetter,
        patience: &mut Patience,
    ) -> Result<(), GivenUp> {
        while let Err(error) = self.try_put(letter).await {
            let event_id = letter.event_id.map(tracing::field::display);
            tracing::warn!(event_id, "failed to set a message aside: {error}");
            if !patience.again().await {
                return Err(GivenUp);
            }
        }
        Ok(())
    }

    async fn try_put(&self, letter: &MessageDeadLetter) -> Result<(), AsideError> {
        if self.ledger.count_dead_letter_again(letter).await? {
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
                // The row keeps all headers; the message needs only what replay finds it by.
                let short = Message::dead_letter(&facts, BTreeMap::new(), body);
                self.publisher
                    .publish(Target::Dead, short, self.publish_timeout)
                    .await?;
            }
            published => published?,
        }
        self.ledger.insert_message_dead_letter(letter).await?;
        self.metrics.dead_letter(letter.cause);
        let event_id = letter.event_id.map(tracing::field::display);
        tracing::warn!(event_id, cause = %letter.cause, dead_letter_id = %letter.id(), "message set aside: {}", letter.message);
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
    use super::*;
    use risiti_domain::{DeadCause, EventId, MerchantId, Provider};
    use uuid::Uuid;

    #[test]
    fn a_dead_message_keeps_its_headers_and_says_why_it_died() {
        let letter = MessageDeadLetter {
            cause: DeadCause::Unreadable,
            merchant_id: Some(MerchantId::from_uuid(Uuid::nil())),
            provider: Some(Provider::Daraja),
            event_id: Some(EventId::from_uuid(Uuid::nil())),
            body: b"{".to_vec(),
            headers: BTreeMap::from([
                ("risiti-channel".to_owned(), "daraja_stk".to_owned()),
                ("risiti-replays".to_owned(), "2".to_owned()),
            ]),
            message: "body: not JSON".to_owned(),
        };
        let message = Message::dead_letter(&facts(&letter), letter.headers.clone(), Bytes::new());
        assert_eq!(message.id, letter.id());
        let header = |name: &str| message.headers.get(name).map(String::as_str);
        assert_eq!(header("risiti-channel"), Some("daraja_stk"));
        assert_eq!(header("risiti-cause"), Some("unreadable"));
        assert_eq!(header("risiti-replays"), Some("2"));
        assert_eq!(
            header("risiti-dead-letter-id"),
            Some(&*letter.id().to_string())
        );
    }
}
