//! Reading a message as an event, with the same code that ingress read it with.

use risiti_domain::DeadCause;
use risiti_ledger::{IncomingEvent, MessageDeadLetter};
use risiti_providers::{Envelope, parse};
use risiti_queue::Message;
use uuid::Uuid;

/// What a message turned out to be.
pub(crate) enum Reading {
    Event(Box<IncomingEvent>),
    /// It becomes no event, and is set aside.
    DeadLetter(Box<MessageDeadLetter>),
}

/// Reads a message.
pub(crate) fn read(message: &Message) -> Reading {
    let envelope = match Envelope::from_headers(&message.headers) {
        Ok(envelope) => envelope,
        Err(error) => {
            return unusable(
                message,
                None,
                DeadCause::Poison,
                format!("not our message: {error}"),
            );
        }
    };
    // Parsed even when ingress could not read it: after a replay, a newer parser may be able to.
    match parse(
        envelope.channel,
        envelope.format,
        &message.body,
        &envelope.account,
    ) {
        Ok(event) => Reading::Event(Box::new(IncomingEvent {
            id: envelope.event_id,
            merchant: envelope.merchant_id,
            provider: envelope.channel.provider(),
            authenticated_by: envelope.authenticated_by,
            credential: envelope.credential,
            received_at: envelope.received_at,
            trace_id: envelope.trace_id().map(str::to_owned),
            body: message.body.clone(),
            event: event.delivered_as(envelope.event_id),
        })),
        Err(why) => unusable(
            message,
            Some(&envelope),
            DeadCause::Unreadable,
            why.to_string(),
        ),
    }
}

/// Makes the dead letter of an event that could not be recorded.
pub(crate) fn poison_event(
    event: &IncomingEvent,
    message: &Message,
    why: String,
) -> MessageDeadLetter {
    MessageDeadLetter {
        merchant_id: Some(event.merchant),
        provider: Some(event.provider),
        event_id: Some(event.id),
        ..dead_letter(message, None, DeadCause::Poison, why)
    }
}

/// Makes the dead letter of a message that is not read again.
pub(crate) fn poison(message: &Message, why: String) -> MessageDeadLetter {
    let envelope = Envelope::from_headers(&message.headers).ok();
    dead_letter(message, envelope.as_ref(), DeadCause::Poison, why)
}

fn unusable(
    message: &Message,
    envelope: Option<&Envelope>,
    cause: DeadCause,
    why: String,
) -> Reading {
    Reading::DeadLetter(Box::new(dead_letter(message, envelope, cause, why)))
}

fn dead_letter(
    message: &Message,
    envelope: Option<&Envelope>,
    cause: DeadCause,
    why: String,
) -> MessageDeadLetter {
    MessageDeadLetter {
        cause,
        merchant_id: envelope.map(|envelope| envelope.merchant_id),
        provider: envelope.map(|envelope| envelope.channel.provider()),
        event_id: envelope.map(|envelope| envelope.event_id),
        body: message.body.to_vec(),
        headers: message.headers.clone(),
        message: why,
    }
}

/// Returns the id to follow a message by. It is the event's id, or the message's own when the
/// headers cannot be read.
pub(crate) fn event_or_message_id(message: &Message) -> Uuid {
    Envelope::from_headers(&message.headers).map_or(message.id, |envelope| envelope.event_id.uuid())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;

    use super::*;

    #[test]
    fn foreign_message_is_poison_and_kept_whole() {
        let message = Message {
            id: Uuid::now_v7(),
            headers: BTreeMap::from([("x".to_owned(), "y".to_owned())]),
            body: Bytes::from_static(b"hello"),
        };
        let Reading::DeadLetter(dead_letter) = read(&message) else {
            panic!("read as an event")
        };
        assert_eq!(dead_letter.cause, DeadCause::Poison);
        assert_eq!(&dead_letter.body[..], b"hello");
        assert_eq!(dead_letter.merchant_id, None);
        assert_eq!(dead_letter.headers, message.headers);
        assert_eq!(event_or_message_id(&message), message.id);
    }
}
