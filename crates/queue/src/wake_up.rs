//! Wake-ups: messages in `[lanes]` that say a lane may have work (protocol D3).

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use uuid::Uuid;

use crate::{Message, PublishError, Publisher, Target};

const DEVICE_FIELD: &str = "device_id";
/// Publishes under way at once for one list of devices.
const PUBLISHES_MAX: usize = 64;

/// A wake-up that may not have reached the queue.
#[derive(Debug)]
pub struct FailedWakeUp {
    pub device: Uuid,
    pub error: PublishError,
}

impl Message {
    /// Makes a wake-up for the lane of this device. The header is for people who look at the queue.
    #[must_use]
    pub fn wake_up(device: Uuid) -> Self {
        Self {
            id: Uuid::now_v7(),
            headers: BTreeMap::from([("risiti-device".to_owned(), device.to_string())]),
            body: serde_json::json!({ DEVICE_FIELD: device.to_string() })
                .to_string()
                .into(),
        }
    }

    /// Returns the device that this wake-up names, or `None` when the message is no wake-up.
    #[must_use]
    pub fn woken_device(&self) -> Option<Uuid> {
        let body: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        body.get(DEVICE_FIELD)?.as_str()?.parse().ok()
    }
}

impl Publisher {
    /// Publishes one wake-up for each device and returns those that failed. A wake-up is a hint, so
    /// a failure is no error: the caller takes the lane's mark back, and the wake loop tries again.
    pub async fn publish_wake_ups(&self, devices: &[Uuid], timeout: Duration) -> Vec<FailedWakeUp> {
        stream::iter(devices.iter().copied())
            .map(|device| async move {
                self.publish(Target::Lanes, Message::wake_up(device), timeout)
                    .await
                    .err()
                    .map(|error| FailedWakeUp { device, error })
            })
            .buffer_unordered(PUBLISHES_MAX)
            .filter_map(async |failed| failed)
            .collect()
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wake_up_names_its_device_in_body_and_header() {
        let wake_up = Message::wake_up(Uuid::nil());
        assert_eq!(
            &wake_up.body[..],
            br#"{"device_id":"00000000-0000-0000-0000-000000000000"}"#
        );
        assert_eq!(wake_up.headers["risiti-device"], Uuid::nil().to_string());
        assert_eq!(wake_up.woken_device(), Some(Uuid::nil()));
    }

    #[test]
    fn other_message_names_no_device() {
        for body in [
            "",
            "{}",
            "[]",
            r#"{"device_id": 7}"#,
            r#"{"device_id": "x"}"#,
        ] {
            let message = Message {
                body: body.as_bytes().to_vec().into(),
                ..Message::wake_up(Uuid::nil())
            };
            assert_eq!(message.woken_device(), None, "{body}");
        }
    }
}
