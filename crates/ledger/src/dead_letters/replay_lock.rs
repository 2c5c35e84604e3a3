//! The lock that lets only one run at a time replay or discard dead letters.

use std::time::Duration;

use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::statements;

statements! {
    TRY_LOCK = "SELECT pg_try_advisory_lock($1)";
    PROBE = "SELECT 1";
}

/// The key of the advisory lock ("risiti" and `E` in ASCII).
const REPLAY_LOCK: i64 = 0x7269_7369_7469_0045;
/// How long the lock's connection may take to answer before the lock counts as lost.
const PROBE_DEADLINE: Duration = Duration::from_secs(5);
/// The pause between two probes of the lock's connection.
const PROBE_PAUSE: Duration = Duration::from_secs(2);

/// The right to replay or discard. It is a session lock on a connection of its own (protocol C11)
/// and ends when dropped.
pub struct ReplayLock {
    lost: CancellationToken,
    _keeper: AbortOnDropHandle<()>,
}

impl ReplayLock {
    /// Is cancelled when somebody else may hold the lock. Stop before the next item then.
    pub fn lost(&self) -> &CancellationToken {
        &self.lost
    }
}

impl Ledger {
    /// Takes the lock. `None` while another run holds it.
    pub async fn lock_replay(&self) -> Result<Option<ReplayLock>, LedgerError> {
        let (client, connection) = self.dedicated().await?;
        let lost = CancellationToken::new();
        let ended = lost.clone().drop_guard();
        let driver = AbortOnDropHandle::new(tokio::spawn(async move {
            let _ended = ended;
            connection.await.ok();
        }));

        let asking = client.query_one(TRY_LOCK.sql, &[&REPLAY_LOCK]);
        let answer = tokio::time::timeout(PROBE_DEADLINE, asking).await;
        let row = answer.map_err(|_| LedgerError::Deadline(PROBE_DEADLINE))??;
        if !row.try_get::<_, bool>(0)? {
            return Ok(None);
        }

        let keeper = tokio::spawn(keep(client, driver, lost.clone()));
        Ok(Some(ReplayLock {
            lost,
            _keeper: AbortOnDropHandle::new(keeper),
        }))
    }
}

/// Probes the lock's connection until it does not answer, then reports the lock as lost. The server
/// ends the lock with the session, so a connection that answers still holds it.
async fn keep(client: Client, driver: AbortOnDropHandle<()>, lost: CancellationToken) {
    let _driver = driver;
    let _lost = lost.drop_guard();
    loop {
        tokio::time::sleep(PROBE_PAUSE).await;
        let probe = client.query_one(PROBE.sql, &[]);
        if !matches!(tokio::time::timeout(PROBE_DEADLINE, probe).await, Ok(Ok(_))) {
            return;
        }
    }
}
