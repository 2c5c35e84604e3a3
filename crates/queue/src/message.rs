//! Our message, and its conversion from and to AMQP's properties.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use uuid::Uuid;

use crate::PublishError;

const NAME_BYTES_MAX: usize = 255;
/// Headers travel in one frame of at most 128 KiB. A larger frame would make the broker close the
/// connection.
const HEADERS_BYTES_MAX: usize = 64 * 1024;
const PERSISTENT: u8 = 2;

/// A message that is published or delivered. `Debug` shows neither headers nor body.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    pub id: Uuid,
    /// Text headers. Names with the prefix `x-` are the broker's, and are passed on in neither
    /// direction.
    pub headers: BTreeMap<String, String>,
    pub body: Bytes,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({}, {} bytes)", self.id, self.body.len())
    }
}

impl Message {
    /// Checks that the headers fit into a frame. The broker would never take larger ones.
    ///
    /// # Errors
    /// [`PublishError::Oversized`].
    pub fn check_headers(&self) -> Result<(), PublishError> {
        let bytes: usize = self
            .headers
            .iter()
            .map(|(name, value)| name.len() + value.len() + 8)
            .sum();
        if bytes > HEADERS_BYTES_MAX || self.headers.keys().any(|name| name.len() > NAME_BYTES_MAX)
        {
            return Err(PublishError::Oversized);
        }
        Ok(())
    }

    /// Returns the AMQP properties of this message.
    pub(crate) fn properties(&self) -> Result<BasicProperties, PublishError> {
        self.check_headers()?;
        let mut table = FieldTable::default();
        for (name, value) in self
            .headers
            .iter()
            .filter(|(name, _)| !is_the_brokers(name))
        {
            table.insert(
                name.as_str().into(),
                AMQPValue::LongString(value.as_str().into()),
            );
        }
        Ok(BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_message_id(self.id.to_string().into())
            .with_headers(table))
    }

    /// Returns the message, and how often the broker has delivered it before. A message that is not
    /// ours may have no id, or headers that are not text. It is read as far as possible, because it
    /// must reach a worker that sets it aside.
    pub(crate) fn from_delivery(properties: &BasicProperties, body: Vec<u8>) -> (Self, u64) {
        let mut headers = BTreeMap::new();
        let mut delivery_count = 0;
        for (name, value) in properties.headers().iter().flat_map(FieldTable::inner) {
            let name = name.as_str();
            if name == "x-delivery-count" {
                delivery_count = unsigned(value);
            } else if !is_the_brokers(name)
                && let Some(text) = text(value)
            {
                headers.insert(name.to_owned(), text);
            }
        }
        let id = properties
            .message_id()
            .as_ref()
            .and_then(|id| id.as_str().parse().ok())
            .unwrap_or(Uuid::nil());
        (
            Self {
                id,
                headers,
                body: body.into(),
            },
            delivery_count,
        )
    }
}

fn is_the_brokers(name: &str) -> bool {
    name.starts_with("x-")
}

fn text(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::LongString(text) => Some(text.to_string()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    }
}

/// Versions of the broker differ in the integer type they send.
fn unsigned(value: &AMQPValue) -> u64 {
    match *value {
        AMQPValue::ShortShortUInt(n) => n.into(),
        AMQPValue::ShortUInt(n) => n.into(),
        AMQPValue::LongUInt(n) => n.into(),
        AMQPValue::ShortShortInt(n) => u64::try_from(n).unwrap_or(0),
        AMQPValue::ShortInt(n) => u64::try_from(n).unwrap_or(0),
        AMQPValue::LongInt(n) => u64::try_from(n).unwrap_or(0),
        AMQPValue::LongLongInt(n) => u64::try_from(n).unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(headers: &[(&str, &str)]) -> Message {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Message {
            id: Uuid::now_v7(),
            headers,
            body: Bytes::from_static(b"{\"amount\": 5}"),
        }
    }

    #[test]
    fn properties_read_back_as_the_same_message() {
        let sent = message(&[
            ("risiti-kind", "stk"),
            ("traceparent", "00-ab-cd-01"),
            ("empty", ""),
        ]);
        let properties = sent.properties().unwrap();
        let (received, delivery_count) = Message::from_delivery(&properties, sent.body.to_vec());
        assert_eq!(received, sent);
        assert_eq!(delivery_count, 0);
    }

    #[test]
    fn broker_headers_are_read_and_never_sent() {
        let mut table = FieldTable::default();
        table.insert("x-delivery-count".into(), AMQPValue::LongLongInt(3));
        table.insert(
            "x-first-death-reason".into(),
            AMQPValue::LongString("delivery_limit".into()),
        );
        table.insert("risiti-kind".into(), AMQPValue::LongString("stk".into()));
        let properties = BasicProperties::default().with_headers(table);
        let (received, delivery_count) = Message::from_delivery(&properties, Vec::new());
        assert_eq!(delivery_count, 3);
        assert_eq!(received.headers.keys().collect::<Vec<_>>(), ["risiti-kind"]);

        let forged = message(&[("x-delivery-count", "9")]).properties().unwrap();
        assert!(forged.headers().as_ref().unwrap().inner().is_empty());
    }

    #[test]
    fn message_that_is_not_ours_is_still_read() {
        let properties = BasicProperties::default().with_message_id("not a uuid".into());
        let (received, _) = Message::from_delivery(&properties, b"junk".to_vec());
        assert_eq!(
            (received.id, received.body.as_ref()),
            (Uuid::nil(), b"junk".as_ref())
        );
    }

    #[test]
    fn headers_too_large_for_a_frame_are_refused() {
        let long_name = "n".repeat(256);
        let long_value = "v".repeat(HEADERS_BYTES_MAX);
        for headers in [[(long_name.as_str(), "")], [("name", long_value.as_str())]] {
            assert!(matches!(
                message(&headers).properties(),
                Err(PublishError::Oversized)
            ));
        }
    }

    #[test]
    fn debug_shows_neither_headers_nor_body() {
        let shown = format!(
            "{:?}",
            message(&[("risiti-delivery-key", "ws_CO_254712345678")])
        );
        assert!(
            !shown.contains("2547") && !shown.contains("amount"),
            "{shown}"
        );
    }
}
