//! What is done with one dead letter, whether a message brought it up or only its row.

use std::time::Duration;

use bytes::Bytes;
use risiti_ledger::{Ledger, LedgerError, MoveOutcome, OperatorAction, RunItem, StoredMessage};
use risiti_providers::{Envelope, parse};
use risiti_queue::{Message, PublishError, Publisher, Target};

use crate::waker;

/// What a pass does with what it takes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    Replay,
    Discard,
}

/// How it went for one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Done {
    Moved,
    /// Its lane looks it up first, and adopts or discards it then.
    Wished,
    /// Somebody else had moved it.
    Skipped,
    /// It stays; why, without any value from a body.
    Failed(String),
}

/// Stops the pass: the next item would fare no better.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ActError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("the broker did not take a message")]
    Publish(#[from] PublishError),
}

pub(crate) struct Actor {
    pub(crate) ledger: Ledger,
    pub(crate) publisher: Publisher,
    pub(crate) publish_timeout: Duration,
    pub(crate) by: OperatorAction,
    pub(crate) deed: Deed,
}

impl Actor {
    pub(crate) async fn act(&self, item: &RunItem) -> Result<Done, ActError> {
        let moved = match (self.deed, item.invoice) {
            (Deed::Replay, Some(invoice)) => self.ledger.replay_invoice(invoice, &self.by).await?,
            (Deed::Replay, None) => return self.replay_message(item).await,
            (Deed::Discard, _) => self.ledger.discard_dead_letter(item, &self.by).await?,
        };
        let (done, lane) = match moved {
            MoveOutcome::Solved(lane) => (Done::Moved, lane),
            MoveOutcome::LookUpFirst(lane) => (Done::Wished, Some(lane)),
            MoveOutcome::Overtaken => (Done::Skipped, None),
        };
        if let Some(lane) = lane {
            waker::wake(&self.ledger, &self.publisher, self.publish_timeout, lane).await;
        }
        Ok(done)
    }

    /// Read anew, for the parser may have learnt since, and published to `[payments]` if it can be read.
    async fn replay_message(&self, item: &RunItem) -> Result<Done, ActError> {
        let Some(kept) = self.ledger.stored_message(item).await? else {
            return Ok(Done::Skipped);
        };
        let message = match readable(kept) {
            Ok(message) => message,
            Err(why) => return Ok(Done::Failed(why)),
        };
        self.publisher
            .publish(Target::Payments, message, self.publish_timeout)
            .await?;
        Ok(match self.ledger.message_replayed(item, &self.by).await? {
            MoveOutcome::Overtaken => Done::Failed("it was set aside again at once".to_owned()),
            _ => Done::Moved,
        })
    }
}

/// The message as the ingress would have published it, had it been able to read it.
fn readable(kept: StoredMessage) -> Result<Message, String> {
    let mut envelope = Envelope::from_headers(&kept.headers)
        .map_err(|error| format!("not a webhook of ours: {error}"))?;
    let event = parse(
        envelope.channel,
        envelope.format,
        &kept.body,
        &envelope.account,
    )
    .map_err(|why| format!("still cannot be read: {why}"))?;
    envelope.kind = Some(event.kind);
    envelope.delivery_key = Some(event.delivery_key);
    envelope.unreadable = None;
    let message = Message {
        id: envelope.event_id.uuid(),
        headers: envelope.to_headers(),
        body: Bytes::from(kept.body),
    };
    Ok(message.with_replays(kept.replays.saturating_add(1)))
}
