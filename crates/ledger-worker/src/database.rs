//! Whether the database can be worked with: reachable, and of the expected schema.

use std::time::Duration;

use risiti_ledger::{Ledger, LedgerError};
use risiti_service::Readiness;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

const LOOK_WHEN_DOWN: Duration = Duration::from_millis(500);
const LOOK_WHEN_UP: Duration = Duration::from_secs(2);
/// A frozen Postgres answers no look; that is told before the look gives up.
const HOLDS: Duration = Duration::from_secs(5);

/// Workers wait here while the database is away (protocol B3).
pub(crate) struct Gate {
    open: watch::Sender<bool>,
    look: Notify,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self {
            open: watch::channel(false).0,
            look: Notify::new(),
        }
    }

    /// Waits until the database can be worked with.
    pub(crate) async fn wait_open(&self) {
        // Cannot fail: `self` holds the sender.
        let _ = self.open.subscribe().wait_for(|open| *open).await;
    }

    /// Somebody's work failed for reasons that are the database's: closed until it has been looked at.
    pub(crate) fn lost(&self) {
        self.open.send_replace(false);
        self.look.notify_one();
    }

    /// Looks at the database until cancelled, and tells the readiness checks what it saw.
    pub(crate) async fn watch(
        &self,
        ledger: &Ledger,
        readiness: &Readiness,
        cancel: &CancellationToken,
    ) {
        let mut told = None;
        while !cancel.is_cancelled() {
            let seen = look(ledger).await;
            self.report(&seen, readiness);
            if told.replace(seen.is_ok()) != Some(seen.is_ok()) {
                match &seen {
                    Ok(()) => tracing::info!("the database is there"),
                    Err(error) => tracing::warn!("the database cannot be worked with: {error}"),
                }
            }
            let pause = if seen.is_ok() {
                LOOK_WHEN_UP
            } else {
                LOOK_WHEN_DOWN
            };
            tokio::select! {
                () = cancel.cancelled() => {}
                () = self.look.notified() => tokio::time::sleep(Duration::from_millis(50)).await,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn report(&self, seen: &Result<(), LedgerError>, readiness: &Readiness) {
        let (database, schema) = match seen {
            Ok(()) => (Ok(()), Ok(())),
            Err(error @ LedgerError::Schema(_)) => (Ok(()), Err(error.to_string())),
            Err(error) => (
                Err(error.to_string()),
                Err("not known: the database is away".to_owned()),
            ),
        };
        readiness.set_for("database", database, HOLDS);
        readiness.set("schema", schema);
        self.open.send_replace(seen.is_ok());
    }
}

async fn look(ledger: &Ledger) -> Result<(), LedgerError> {
    ledger.check_writable().await?;
    ledger.check_schema().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wrong_schema_is_not_an_unreachable_database() {
        let (gate, readiness) = (Gate::new(), Readiness::default());
        gate.report(
            &Err(LedgerError::Schema("V2 is missing".to_owned())),
            &readiness,
        );
        let missing = readiness.missing().join("; ");
        assert!(
            missing.contains("V2 is missing") && !missing.contains("database:"),
            "{missing}"
        );
        gate.report(&Ok(()), &readiness);
        assert!(readiness.missing().is_empty());
        gate.wait_open().await;
    }
}
