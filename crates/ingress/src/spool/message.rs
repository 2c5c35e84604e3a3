//! A message as the spool stores it (format 1): its id, its headers, its body.

use std::collections::BTreeMap;

use bytes::Bytes;
use risiti_queue::Message;
use uuid::Uuid;

const ID_BYTES: usize = 16;
const LENGTH_BYTES: usize = 4;

/// Encodes a message as an entry of the spool.
pub(crate) fn encode(message: &Message) -> Vec<u8> {
    let headers = serde_json::json!(message.headers).to_string();
    let length =
        u32::try_from(headers.len()).expect("headers are bounded by the parser, far below 4 GiB");
    [
        message.id.as_bytes(),
        length.to_be_bytes().as_slice(),
        headers.as_bytes(),
        &message.body,
    ]
    .concat()
}

/// Decodes an entry. It is `None` when the entry is not a message of ours.
pub(crate) fn decode(bytes: &[u8]) -> Option<Message> {
    let (id, rest) = bytes.split_first_chunk::<ID_BYTES>()?;
    let (length, rest) = rest.split_first_chunk::<LENGTH_BYTES>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (headers, body) = rest.split_at_checked(length)?;
    let headers: BTreeMap<String, String> = serde_json::from_slice(headers).ok()?;
    Some(Message {
        id: Uuid::from_bytes(*id),
        headers,
        body: Bytes::copy_from_slice(body),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        let headers = [("risiti-kind", "stk"), ("traceparent", "00-ä\"")];
        let headers = headers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        Message {
            id: Uuid::now_v7(),
            headers,
            body: Bytes::from_static(b"{\"Amount\": 1500.10}\xff"),
        }
    }

    #[test]
    fn message_decodes_to_the_same_bytes() {
        let bare = Message {
            id: Uuid::nil(),
            headers: BTreeMap::new(),
            body: Bytes::new(),
        };
        for message in [message(), bare] {
            assert!(decode(&encode(&message)) == Some(message));
        }
    }

    #[test]
    fn entry_cut_off_in_its_head_is_no_message() {
        let whole = encode(&message());
        let head = whole.len() - message().body.len();
        for length in 0..head {
            assert!(decode(&whole[..length]).is_none(), "{length}");
        }
    }
}
