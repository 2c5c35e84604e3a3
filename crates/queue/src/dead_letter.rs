//! Messages of the dead-letter queue. Their headers say which dead letter they stand for, and why
//! it is one.

use std::collections::BTreeMap;

use bytes::Bytes;
use uuid::Uuid;

use crate::Message;

const ID: &str = "risiti-dead-letter-id";
const CAUSE: &str = "risiti-cause";
const MESSAGE: &str = "risiti-message";
const CODE: &str = "risiti-code";
const ATTEMPTS: &str = "risiti-attempts";
const EVENT_ID: &str = "risiti-event-id";
const MERCHANT: &str = "risiti-merchant";
const INVOICE: &str = "risiti-invoice";
const DEVICE: &str = "risiti-device";
const REPLAYS: &str = "risiti-replays";

/// What a message in the dead-letter queue says about its dead letter. The same failure gives the
/// same facts, so publishing it again is harmless (protocol E1).
#[derive(Clone, Debug, Default)]
pub struct DeadLetterFacts {
    pub id: Uuid,
    pub cause: String,
    pub message: String,
    pub code: Option<String>,
    pub attempts: Option<u32>,
    pub event_id: Option<Uuid>,
    pub merchant_id: Option<Uuid>,
    pub invoice_id: Option<Uuid>,
    pub device_id: Option<Uuid>,
    /// How often it was replayed before, as the original message carried it.
    pub replays: Option<String>,
}

impl DeadLetterFacts {
    fn headers(&self) -> impl Iterator<Item = (String, String)> {
        let id = |id: Option<Uuid>| id.map(|id| id.to_string());
        [
            (ID, Some(self.id.to_string())),
            (CAUSE, Some(self.cause.clone())),
            (MESSAGE, Some(self.message.clone())),
            (CODE, self.code.clone()),
            (ATTEMPTS, self.attempts.map(|count| count.to_string())),
            (EVENT_ID, id(self.event_id)),
            (MERCHANT, id(self.merchant_id)),
            (INVOICE, id(self.invoice_id)),
            (DEVICE, id(self.device_id)),
            (REPLAYS, self.replays.clone()),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
    }
}

impl Message {
    /// Makes the message of a dead letter. `headers` are those of the original message. The dead
    /// letter's own headers take precedence.
    #[must_use]
    pub fn dead_letter(
        facts: &DeadLetterFacts,
        headers: BTreeMap<String, String>,
        body: Bytes,
    ) -> Self {
        let mut headers = headers;
        headers.extend(facts.headers());
        Self {
            id: facts.id,
            headers,
            body,
        }
    }

    /// Returns the dead letter that this message stands for. A message of a foreign program names
    /// none. Then its own id is returned, which no row has.
    #[must_use]
    pub fn dead_letter_id(&self) -> Uuid {
        let named = self.headers.get(ID).and_then(|id| id.parse().ok());
        named.unwrap_or(self.id)
    }

    /// Sets how often this message was replayed.
    #[must_use]
    pub fn with_replays(mut self, replays: i32) -> Self {
        self.headers.insert(REPLAYS.to_owned(), replays.to_string());
        self
    }
}

/// Returns how often a message with these headers was replayed, as text.
#[must_use]
pub fn replays(headers: &BTreeMap<String, String>) -> Option<&str> {
    headers.get(REPLAYS).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_letter_keeps_the_headers_it_came_with() {
        let facts = DeadLetterFacts {
            id: Uuid::max(),
            cause: "unreadable".to_owned(),
            message: "body: not JSON".to_owned(),
            replays: Some("2".to_owned()),
            ..DeadLetterFacts::default()
        };
        let original = BTreeMap::from([
            ("risiti-envelope".to_owned(), "{}".to_owned()),
            (ID.to_owned(), "another's".to_owned()),
        ]);
        let message = Message::dead_letter(&facts, original, Bytes::from_static(b"{"));
        assert_eq!(message.headers["risiti-envelope"], "{}");
        assert_eq!(message.headers[CAUSE], "unreadable");
        assert_eq!(replays(&message.headers), Some("2"));
        assert_eq!(message.headers.get(CODE), None);
        assert_eq!(message.dead_letter_id(), Uuid::max());
    }

    #[test]
    fn message_without_dead_letter_is_known_by_its_own_id() {
        let message = Message {
            id: Uuid::max(),
            headers: BTreeMap::from([(ID.to_owned(), "no id".to_owned())]),
            body: Bytes::new(),
        };
        assert_eq!(message.dead_letter_id(), Uuid::max());
    }
}
