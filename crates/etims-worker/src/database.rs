//! Whether Postgres can be worked with: reachable, with our schema and our key.

use std::time::Duration;

use risiti_ledger::{KeyCheck, Ledger, LedgerError, Vault};
use risiti_service::{BadSetting, Readiness};
use tokio::sync::watch;

const LOOK: Duration = Duration::from_secs(1);
/// A frozen Postgres answers no look; that is told before the look gives up.
const HOLDS: Duration = Duration::from_secs(4);

pub(crate) struct Database {
    up: watch::Sender<bool>,
}

impl Database {
    pub(crate) fn new() -> Self {
        Self {
            up: watch::Sender::new(false),
        }
    }

    pub(crate) fn follow(&self) -> watch::Receiver<bool> {
        self.up.subscribe()
    }

    /// Looks every second, and tells the readiness and whoever follows. Ends only with a credentials key
    /// that is not the database's: working on would halt every lane.
    pub(crate) async fn watch(
        &self,
        ledger: &Ledger,
        vault: &Vault,
        readiness: &Readiness,
    ) -> BadSetting {
        let (mut known, mut told) = (false, None);
        loop {
            let seen = look(ledger, vault, &mut known).await;
            if matches!(seen, Ok(KeyCheck::Wrong)) {
                let problem = "does not open the secrets in this database";
                return BadSetting::new("--credentials-key (RISITI_CREDENTIALS_KEY)", problem);
            }
            let up = seen.is_ok();
            if told.replace(up) != Some(up) {
                match &seen {
                    Ok(_) => tracing::info!("the database is there"),
                    Err(error) => tracing::warn!("the database cannot be worked with: {error}"),
                }
            }
            self.up
                .send_if_modified(|was| std::mem::replace(was, up) != up);
            readiness.set_for(
                "database",
                seen.map(drop).map_err(|error| error.to_string()),
                HOLDS,
            );
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// The whole look once, and from then on whether it takes writes.
async fn look(ledger: &Ledger, vault: &Vault, known: &mut bool) -> Result<KeyCheck, LedgerError> {
    ledger.check_writable().await?;
    if *known {
        return Ok(KeyCheck::Right);
    }
    ledger.check_schema().await?;
    let check = ledger.prove_key(vault).await?;
    *known = check == KeyCheck::Right;
    Ok(check)
}
