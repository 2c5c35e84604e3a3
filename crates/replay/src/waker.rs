//! Waking a lane that has work again. A token is a hint: one that cannot be published is left to the wake loop
//! (protocol D3), so nothing here fails.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use risiti_domain::DeviceId;
use risiti_ledger::{Ledger, LedgerError};
use risiti_queue::{Message, Publisher, Target};
use uuid::Uuid;

/// One token, where the lane needs one.
pub(crate) async fn wake(ledger: &Ledger, publisher: &Publisher, timeout: Duration, lane: DeviceId) {
    if let Err(error) = try_wake(ledger, publisher, timeout, lane).await {
        tracing::debug!(device_id = %lane, "left to the wake loop: {error}");
    }
}

async fn try_wake(
    ledger: &Ledger,
    publisher: &Publisher,
    timeout: Duration,
    lane: DeviceId,
) -> Result<(), LedgerError> {
    for lane in ledger.mark_tokens(&[lane]).await? {
        if publisher.publish(Target::Lanes, token(lane), timeout).await.is_err() {
            ledger.unmark_tokens(&[lane]).await?;
        }
    }
    Ok(())
}

fn token(lane: DeviceId) -> Message {
    Message {
        id: Uuid::now_v7(),
        headers: BTreeMap::from([("risiti-device".to_owned(), lane.to_string())]),
        body: Bytes::from(serde_json::json!({ "device_id": lane }).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_device_in_body_and_header() {
        let token = token(DeviceId::from_uuid(Uuid::nil()));
        assert_eq!(&token.body[..], br#"{"device_id":"00000000-0000-0000-0000-000000000000"}"#);
        assert_eq!(token.headers["risiti-device"], Uuid::nil().to_string());
    }
}
