//! What a connection must be for us: one session, from its first statement to its last.
//!
//! Named statements, LISTEN, SET ROLE and advisory locks belong to a session. A pooler that hands
//! each transaction to any free server process breaks all of them, some without an error.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use secrecy::SecretString;
use tokio_postgres::{Client, SimpleQueryMessage};
use tokio_util::task::AbortOnDropHandle;

use crate::db::connect::connect;
use crate::db::error::LedgerError;

/// Session limits of every pooled connection, so that a frozen process does not hold rows for ever
/// (protocol C10).
///
/// They are set by a statement and not in the startup packet. PgBouncer refuses the latter by
/// default, in session mode too, where it would do no harm.
pub(crate) const LIMITS: &str = "SET idle_in_transaction_session_timeout = '5s';
    SET lock_timeout = '2s';
    SET statement_timeout = '10s'";

/// The name by which the connection of the check shows in `pg_stat_activity`.
const CHECK_NAME: &str = "risiti-session-check";
/// The whole check, a connection included.
const CHECK_DEADLINE: Duration = Duration::from_secs(5);

/// The server process behind a connection. Its start is part of it, because process ids are small
/// numbers in containers, and one name may lead to several servers.
const SERVER_PROCESS: &str =
    "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()";

/// Checks once whether connections keep their server process. Clones share what was found.
#[derive(Clone, Debug, Default)]
pub(crate) struct SessionCheck {
    passed: Arc<AtomicBool>,
}

impl SessionCheck {
    /// Checks by this connection and another one of its kind, unless a check has passed before.
    ///
    /// # Errors
    /// [`LedgerError::TransactionPooler`] when a pooler hands out server processes. Where the check
    /// cannot be carried out it passes for now, because the server may only be out of connections.
    pub(crate) async fn run(&self, client: &Client, url: &SecretString) -> Result<(), LedgerError> {
        if self.passed.load(Ordering::Relaxed) {
            return Ok(());
        }

        let checking = tokio::time::timeout(CHECK_DEADLINE, shares_processes(client, url));
        match checking.await {
            Ok(Ok(false)) => {
                self.passed.store(true, Ordering::Relaxed);
                Ok(())
            }
            Ok(Ok(true)) => Err(LedgerError::TransactionPooler),
            Ok(Err(error)) => {
                tracing::debug!(%error, "sessions were not checked");
                Ok(())
            }
            Err(_) => Ok(()),
        }
    }
}

/// Whether two connections that are open at the same time meet one server process, or one of them
/// meets two. A direct connection, or a pooler in session mode, never does either.
///
/// A pooler that is idle hands out the process that was used last, or the one that was used longest
/// ago. The order of the questions shows both.
async fn shares_processes(one: &Client, url: &SecretString) -> Result<bool, LedgerError> {
    let (other, driver) = connect(url, CHECK_NAME).await?;
    let _driver = AbortOnDropHandle::new(tokio::spawn(driver));

    let other_first = server_process(&other).await?;
    let one_first = server_process(one).await?;
    let one_again = server_process(one).await?;
    let other_again = server_process(&other).await?;

    let keep_theirs = one_first == one_again && other_first == other_again;
    Ok(!keep_theirs || one_first == other_first)
}

/// Asks without a named statement, which could be missing in the process that is met.
async fn server_process(client: &Client) -> Result<(String, String), LedgerError> {
    let answers = client.simple_query(SERVER_PROCESS).await?;
    let process = answers.iter().find_map(|answer| match answer {
        SimpleQueryMessage::Row(row) => Some((
            row.get(0).unwrap_or_default().to_owned(),
            row.get(1).unwrap_or_default().to_owned(),
        )),
        _ => None,
    });
    process.ok_or_else(|| LedgerError::Stored {
        table: "pg_stat_activity",
        column: "pid",
        row: "our session".to_owned(),
    })
}
