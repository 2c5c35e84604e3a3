//! Statements on a connection, each with a deadline on our side as well.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::db::error::LedgerError;
use crate::db::statements::Statement;

/// The server ends a statement after 10 s; we stop waiting a little later, so that a slow statement costs
/// a statement, and only a silent server or network costs the connection (protocol C10).
const STATEMENT_DEADLINE: Duration = Duration::from_secs(12);

pub(crate) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A pooled connection. One that missed a deadline, or leads to a server that takes no writes, is closed instead
/// of going back.
pub(crate) struct Connection {
    /// `None` only while dropping.
    client: Option<deadpool_postgres::Object>,
    spoiled: AtomicBool,
}

impl Connection {
    pub(crate) fn new(client: deadpool_postgres::Object) -> Self {
        Self {
            client: Some(client),
            spoiled: AtomicBool::new(false),
        }
    }

    fn parts(&self) -> (&deadpool_postgres::Object, &AtomicBool) {
        (
            self.client.as_ref().expect("taken only in drop"),
            &self.spoiled,
        )
    }

    /// Closes it instead of giving it back.
    pub(crate) fn spoil(&self) {
        self.spoiled.store(true, Ordering::Relaxed);
    }

    pub(crate) async fn transaction(&mut self) -> Result<Transaction<'_>, LedgerError> {
        let client = self.client.as_mut().expect("taken only in drop");
        let inner = bounded("BEGIN", &self.spoiled, client.transaction()).await?;
        Ok(Transaction {
            inner,
            spoiled: &self.spoiled,
        })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.spoiled.load(Ordering::Relaxed)
            && let Some(client) = self.client.take()
        {
            drop(deadpool_postgres::Object::take(client));
        }
    }
}

/// Rolled back when dropped.
pub(crate) struct Transaction<'a> {
    inner: deadpool_postgres::Transaction<'a>,
    spoiled: &'a AtomicBool,
}

impl<'a> Transaction<'a> {
    fn parts(&self) -> (&deadpool_postgres::Transaction<'a>, &AtomicBool) {
        (&self.inner, self.spoiled)
    }

    /// After an error other than [`LedgerError::Refused`] the transaction may have been committed.
    pub(crate) async fn commit(self) -> Result<(), LedgerError> {
        bounded("COMMIT", self.spoiled, self.inner.commit()).await
    }
}

/// The ways to run a statement, prepared once per connection and bounded. A macro because the driver's two
/// clients share them only through a trait, which every module with a statement would have to import.
macro_rules! runs_statements {
    ($client:ty) => {
        impl $client {
            runs_statements!(query -> Vec<Row>);
            runs_statements!(query_opt -> Option<Row>);
            runs_statements!(query_one -> Row);
            // Rows affected.
            runs_statements!(execute -> u64);
        }
    };
    ($run:ident -> $output:ty) => {
        pub(crate) async fn $run(
            &self,
            statement: Statement,
            params: Params<'_>,
        ) -> Result<$output, LedgerError> {
            let (client, spoiled) = self.parts();
            bounded(statement.name, spoiled, async {
                let prepared = client.prepare_cached(statement.sql).await?;
                client.$run(&prepared, params).await
            })
            .await
        }
    };
}

runs_statements!(Connection);
runs_statements!(Transaction<'_>);

async fn bounded<T>(
    what: &'static str,
    spoiled: &AtomicBool,
    work: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, LedgerError> {
    match tokio::time::timeout(STATEMENT_DEADLINE, work).await {
        Ok(done) => done.map_err(LedgerError::from).inspect_err(|error| {
            if error.ends_connection() {
                spoiled.store(true, Ordering::Relaxed);
            }
        }),
        Err(_) => {
            tracing::warn!(
                statement = what,
                "postgres did not answer in time, dropping the connection"
            );
            spoiled.store(true, Ordering::Relaxed);
            Err(LedgerError::Deadline(STATEMENT_DEADLINE))
        }
    }
}
