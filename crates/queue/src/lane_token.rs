//! The hint that a device has work, as it travels in `[lanes]` (protocol D3).

use crate::Message;
use std::collections::BTreeMap;
use uuid::Uuid;

const FIELD: &str = "device_id";

impl Message {
    /// A token for the lane of this device. The header is for people who look at the queue.
    #[must_use]
    pub fn lane_token(device: Uuid) -> Self {
        Self {
            id: Uuid::now_v7(),
            headers: BTreeMap::from([("risiti-device".to_owned(), device.to_string())]),
            body: serde_json::json!({ FIELD: device.to_string() })
                .to_string()
                .into(),
        }
    }

    /// The device whose lane this token wakes; `None` when it is no token.
    #[must_use]
    pub fn lane_device(&self) -> Option<Uuid> {
        let body: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        body.get(FIELD)?.as_str()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_device_in_body_and_header() {
        let token = Message::lane_token(Uuid::nil());
        assert_eq!(
            &token.body[..],
            br#"{"device_id":"00000000-0000-0000-0000-000000000000"}"#
        );
        assert_eq!(token.headers["risiti-device"], Uuid::nil().to_string());
        assert_eq!(token.lane_device(), Some(Uuid::nil()));
    }

    #[test]
    fn anything_else_names_none() {
        for body in [
            "",
            "{}",
            "[]",
            r#"{"device_id": 7}"#,
            r#"{"device_id": "x"}"#,
        ] {
            let message = Message {
                body: body.as_bytes().to_vec().into(),
                ..Message::lane_token(Uuid::nil())
            };
            assert_eq!(message.lane_device(), None, "{body}");
        }
    }
}
