//! Statements on a pooled connection, each with a deadline on our side as well as the server's.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::db::error::LedgerError;
use crate::db::statements::Statement;

/// How long we wait for the answer to a statement (protocol C10).
///
/// The server ends a statement after 10 s, a little earlier. So a slow statement costs only that
/// statement, and only a silent server or network costs the connection.
const STATEMENT_DEADLINE: Duration = Duration::from_secs(12);

pub(crate) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A pooled connection. It is closed instead of going back to the pool when it missed a deadline or
/// leads to a server that takes no writes.
pub(crate) struct Connection {
    /// `None` only while the connection is dropped.
    client: Option<deadpool_postgres::Object>,
    broken: AtomicBool,
}

impl Connection {
    pub(crate) fn new(client: deadpool_postgres::Object) -> Self {
        Self {
            client: Some(client),
            broken: AtomicBool::new(false),
        }
    }

    fn parts(&self) -> (&deadpool_postgres::Object, &AtomicBool) {
        (
            self.client.as_ref().expect("taken only in drop"),
            &self.broken,
        )
    }

    /// Has the connection closed instead of given back.
    pub(crate) fn mark_broken(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }

    /// Runs a write and then a query, in one round trip. Each is a transaction of its own, and the
    /// query sees the write.
    ///
    /// The second result means nothing where the first is an error.
    pub(crate) async fn execute_then_query_opt(
        &self,
        write: (Statement, Params<'_>),
        query: (Statement, Params<'_>),
    ) -> (Result<u64, LedgerError>, Result<Option<Row>, LedgerError>) {
        let (client, broken) = self.parts();
        // Both are prepared first, so that nothing comes between sending the one and the other.
        let prepared = with_deadline(write.0.name, broken, async {
            let write = client.prepare_cached(write.0.sql).await?;
            Ok((write, client.prepare_cached(query.0.sql).await?))
        });
        let prepared = match prepared.await {
            Ok(prepared) => prepared,
            Err(error) => return (Err(error), Ok(None)),
        };

        // The write is polled, and therefore sent, first.
        join(
            with_deadline(write.0.name, broken, client.execute(&prepared.0, write.1)),
            with_deadline(query.0.name, broken, client.query_opt(&prepared.1, query.1)),
        )
        .await
    }

    pub(crate) async fn transaction(&mut self) -> Result<Transaction<'_>, LedgerError> {
        let client = self.client.as_mut().expect("taken only in drop");
        let inner = with_deadline("BEGIN", &self.broken, client.transaction()).await?;
        Ok(Transaction {
            inner,
            broken: &self.broken,
        })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.broken.load(Ordering::Relaxed)
            && let Some(client) = self.client.take()
        {
            drop(deadpool_postgres::Object::take(client));
        }
    }
}

/// A transaction. It is rolled back when dropped.
pub(crate) struct Transaction<'a> {
    inner: deadpool_postgres::Transaction<'a>,
    broken: &'a AtomicBool,
}

impl<'a> Transaction<'a> {
    fn parts(&self) -> (&deadpool_postgres::Transaction<'a>, &AtomicBool) {
        (&self.inner, self.broken)
    }

    /// Commits. After an error other than [`LedgerError::Refused`] the transaction may have been
    /// committed.
    pub(crate) async fn commit(self) -> Result<(), LedgerError> {
        with_deadline("COMMIT", self.broken, self.inner.commit()).await
    }
}

/// The ways to run a statement. It is prepared once per connection, and its time is bounded.
///
/// This is a macro because the driver's two clients share these methods only through a trait. Every
/// module with a statement would have to import that trait.
macro_rules! runs_statements {
    ($client:ty) => {
        impl $client {
            runs_statements!(query -> Vec<Row>);
            runs_statements!(query_opt -> Option<Row>);
            runs_statements!(query_one -> Row);
            // The number of affected rows.
            runs_statements!(execute -> u64);
        }
    };
    ($run:ident -> $output:ty) => {
        pub(crate) async fn $run(
            &self,
            statement: Statement,
            params: Params<'_>,
        ) -> Result<$output, LedgerError> {
            let (client, broken) = self.parts();
            with_deadline(statement.name, broken, async {
                let prepared = client.prepare_cached(statement.sql).await?;
                client.$run(&prepared, params).await
            })
            .await
        }
    };
}

runs_statements!(Connection);
runs_statements!(Transaction<'_>);

/// Waits for an answer at most [`STATEMENT_DEADLINE`]. An error that ends the connection marks it
/// as broken.
async fn with_deadline<T>(
    what: &'static str,
    broken: &AtomicBool,
    work: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, LedgerError> {
    match tokio::time::timeout(STATEMENT_DEADLINE, work).await {
        Ok(done) => done.map_err(LedgerError::from).inspect_err(|error| {
            if error.ends_connection() {
                broken.store(true, Ordering::Relaxed);
            }
        }),
        Err(_) => {
            tracing::warn!(
                statement = what,
                "postgres did not answer in time, dropping the connection"
            );
            broken.store(true, Ordering::Relaxed);
            Err(LedgerError::Deadline(STATEMENT_DEADLINE))
        }
    }
}
