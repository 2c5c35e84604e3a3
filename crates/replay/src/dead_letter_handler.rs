//! Replays or discards one dead letter, whether its message or only its row was found.

use std::time::Duration;

use bytes::Bytes;
use risiti_ledger::{Ledger, LedgerError, MoveOutcome, OperatorAction, RunItem, StoredMessage};
use risiti_providers::{Envelope, parse};
use risiti_queue::{Message, PublishError, Publisher, Target};

use crate::wake_up::wake_lane;

/// What a pass does with each dead letter that the filter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PassKind {
    Replay,
    Discard,
}

impl PassKind {
    /// The state that it moves a dead letter to, as the audit names it.
    pub(crate) fn moves_to(self) -> &'static str {
        match self {
            Self::Replay => "replayed",
            Self::Discard => "discarded",
        }
    }
}

/// What became of one dead letter.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ItemOutcome {
    Moved,
    /// Its lane looks the number up first, then adopts or discards the invoice.
    LookUpFirst,
    /// Somebody else had moved it.
    Skipped,
    /// It stays, for this reason. The reason contains no value from a body.
    Failed(String),
}

/// An error that stops the pass, because the next dead letter would meet it too.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandleError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("the broker did not take a message")]
    Publish(#[from] PublishError),
}

pub(crate) struct DeadLetterHandler {
    pub(crate) ledger: Ledger,
    pub(crate) publisher: Publisher,
    pub(crate) publish_timeout: Duration,
    pub(crate) by: OperatorAction,
    pub(crate) kind: PassKind,
}

impl DeadLetterHandler {
    /// Replays or discards one dead letter. It is safe to repeat after an error.
    pub(crate) async fn handle(&self, item: &RunItem) -> Result<ItemOutcome, HandleError> {
        let moved = match (self.kind, item.invoice) {
            (PassKind::Replay, Some(invoice)) => {
                self.ledger.replay_invoice(invoice, &self.by).await?
            }
            (PassKind::Replay, None) => return self.replay_message(item).await,
            (PassKind::Discard, _) => self.ledger.discard_dead_letter(item, &self.by).await?,
        };
        let (outcome, lane) = match moved {
            MoveOutcome::Solved(lane) => (ItemOutcome::Moved, lane),
            MoveOutcome::LookUpFirst(lane) => (ItemOutcome::LookUpFirst, Some(lane)),
            MoveOutcome::Overtaken => (ItemOutcome::Skipped, None),
        };
        if let Some(lane) = lane {
            wake_lane(&self.ledger, &self.publisher, self.publish_timeout, lane).await;
        }
        Ok(outcome)
    }

    /// Parses a stored message again, because the parser may have changed since. Publishes it to
    /// `[payments]` if it can be read.
    async fn replay_message(&self, item: &RunItem) -> Result<ItemOutcome, HandleError> {
        let Some(stored) = self.ledger.stored_message(item).await? else {
            return Ok(ItemOutcome::Skipped);
        };
        let message = match parse_again(stored) {
            Ok(message) => message,
            Err(reason) => return Ok(ItemOutcome::Failed(reason)),
        };

        self.publisher
            .publish(Target::Payments, message, self.publish_timeout)
            .await?;
        Ok(match self.ledger.message_replayed(item, &self.by).await? {
            MoveOutcome::Overtaken => {
                ItemOutcome::Failed("it was set aside again during its replay".to_owned())
            }
            _ => ItemOutcome::Moved,
        })
    }
}

/// Makes the message that ingress would have published if it could have read the body.
fn parse_again(stored: StoredMessage) -> Result<Message, String> {
    let body = stored
        .body
        .ok_or("its body was removed by `risiti-admin prune`")?;
    let mut envelope = Envelope::from_headers(&stored.headers)
        .map_err(|error| format!("not a webhook of ours: {error}"))?;
    let event = parse(envelope.channel, envelope.format, &body, &envelope.account)
        .map_err(|unreadable| format!("still cannot be read: {unreadable}"))?
        .delivered_as(envelope.event_id);

    envelope.kind = Some(event.kind);
    envelope.delivery_key = Some(event.delivery_key);
    envelope.unreadable = None;
    let message = Message {
        id: envelope.event_id.uuid(),
        headers: envelope.to_headers(),
        body: Bytes::from(body),
    };
    Ok(message.with_replays(stored.replays.saturating_add(1)))
}
