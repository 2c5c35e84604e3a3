//! Which credentials let the recorded webhooks in. It is for lists that people look at, so nothing
//! waits for it and no message is tried again for it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use risiti_domain::CredentialId;
use risiti_ledger::{IncomingEvent, Ledger};
use tokio::time::Instant;

/// How long a use that is written down stands for those that follow.
const WRITE_INTERVAL: Duration = Duration::from_secs(60);
/// Credentials that are remembered. With more of them, some are written down more often.
const REMEMBERED_MAX: usize = 20_000;

/// Writes down last uses, at most once a minute for each credential.
#[derive(Default)]
pub(crate) struct CredentialUses {
    written: Mutex<HashMap<CredentialId, Instant>>,
}

impl CredentialUses {
    /// Writes down what a batch used, in one statement, or nothing where all was written lately.
    pub(crate) async fn write(&self, ledger: &Ledger, uses: BTreeMap<CredentialId, Timestamp>) {
        let due = self.take_due(uses);
        if due.is_empty() {
            return;
        }
        if let Err(error) = ledger.credentials_used(&due).await {
            tracing::warn!(
                credentials = due.len(),
                "failed to write down when credentials were last used: {error}"
            );
        }
    }

    /// Those that were not written down within the last minute.
    fn take_due(
        &self,
        mut uses: BTreeMap<CredentialId, Timestamp>,
    ) -> BTreeMap<CredentialId, Timestamp> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        uses.retain(|id, _| {
            written
                .get(id)
                .is_none_or(|at| at.elapsed() >= WRITE_INTERVAL)
        });
        if written.len() + uses.len() > REMEMBERED_MAX {
            written.clear();
        }
        let now = Instant::now();
        written.extend(uses.keys().take(REMEMBERED_MAX).map(|id| (*id, now)));
        uses
    }
}

/// The newest use of each credential in a batch.
pub(crate) fn of_events(events: &[IncomingEvent]) -> BTreeMap<CredentialId, Timestamp> {
    let mut uses = BTreeMap::new();
    for event in events {
        if let Some(credential) = event.credential {
            let last = uses.entry(credential).or_insert(event.received_at);
            *last = event.received_at.max(*last);
        }
    }
    uses
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn uses(ids: std::ops::Range<u128>) -> BTreeMap<CredentialId, Timestamp> {
        let ids = ids.map(|id| CredentialId::from_uuid(Uuid::from_u128(id)));
        ids.map(|id| (id, Timestamp::UNIX_EPOCH)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn credential_is_due_once_a_minute() {
        let all = CredentialUses::default();
        assert_eq!(all.take_due(uses(0..3)).len(), 3);
        assert_eq!(all.take_due(uses(2..4)), uses(3..4));
        tokio::time::advance(WRITE_INTERVAL).await;
        assert_eq!(all.take_due(uses(0..4)).len(), 4);
    }

    #[tokio::test]
    async fn remembered_credentials_are_bounded() {
        let all = CredentialUses::default();
        let most = REMEMBERED_MAX as u128;
        all.take_due(uses(0..most));
        assert_eq!(all.take_due(uses(0..1)).len(), 0);
        all.take_due(uses(most..most + 1));
        assert_eq!(all.written.lock().unwrap().len(), 1);
        all.take_due(uses(0..2 * most));
        assert_eq!(all.written.lock().unwrap().len(), REMEMBERED_MAX);
    }
}
