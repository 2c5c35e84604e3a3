//! Statements on a connection, each with a deadline on our side as well.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::error::LedgerError;
use crate::statements::Statement;

/// The server ends a statement after 10 s; we stop waiting a little later, so that a slow statement costs
/// a statement, and only a silent server or network costs the connection (protocol C10).
const STATEMENT_DEADLINE: Duration = Duration::from_secs(12);

pub(crate) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A pooled connection. One that missed a deadline is closed instead of going back.
pub(crate) struct Connection {
    /// `None` only while dropping.
    client: Option<deadpool_postgres::Object>,
    spoiled: AtomicBool,
}

impl Connection {
    pub(crate) fn new(client: deadpool_postgres::Object) -> Self {
        Self { client: Some(client), spoiled: AtomicBool::new(false) }
    }

    fn client(&self) -> &deadpool_postgres::Object {
        self.client.as_ref().expect("taken only in drop")
    }

    pub(crate) async fn query(
        &self,
        statement: Statement,
        params: Params<'_>,
    ) -> Result<Vec<Row>, LedgerError> {
        let client = self.client();
        bounded(statement.name, &self.spoiled, async {
            let prepared = client.prepare_cached(statement.sql).await?;
            client.query(&prepared, params).await
        })
        .await
    }

    pub(crate) async fn query_opt(
        &self,
        statement: Statement,
        params: Params<'_>,
    ) -> Result<Option<Row>, LedgerError> {
        let client = self.client();
        bounded(statement.name, &self.spoiled, async {
            let prepared = client.prepare_cached(statement.sql).await?;
            client.query_opt(&prepared, params).await
        })
        .await
    }

    pub(crate) async fn query_one(
        &self,
        statement: Statement,
        params: Params<'_>,
    ) -> Result<Row, LedgerError> {
        let client = self.client();
        bounded(statement.name, &self.spoiled, async {
            let prepared = client.prepare_cached(statement.sql).await?;
            client.query_one(&prepared, params).await
        })
        .await
    }

    /// Rows affected.
    pub(crate) async fn execute(&self, statement: Statement, params: Params<'_>) -> Result<u64, LedgerError> {
        let client = self.client();
        bounded(statement.name, &self.spoiled, async {
            let prepared = client.prepare_cached(statement.sql).await?;
            client.execute(&prepared, params).await
        })
        .await
    }

    pub(crate) async fn transaction(&mut self) -> Result<Transaction<'_>, LedgerError> {
        let client = self.client.as_mut().expect("taken only in drop");
        let inner = bounded("BEGIN", &self.spoiled, client.transaction()).await?;
        Ok(Transaction { inner, spoiled: &self.spoiled })
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

impl Transaction<'_> {
    pub(crate) async fn query(
        &self,
        statement: Statement,
        params: Params<'_>,
    ) -> Result<Vec<Row>, LedgerError> {
        bounded(statement.name, self.spoiled, async {
            let prepared = self.inner.prepare_cached(statement.sql).await?;
            self.inner.query(&prepared, params).await
        })
        .await
    }

    pub(crate) async fn query_opt(
        &self,
        statement: Statement,
        params: Params<'_>,
    ) -> Result<Option<Row>, LedgerError> {
        bounded(statement.name, self.spoiled, async {
            let prepared = self.inner.prepare_cached(statement.sql).await?;
            self.inner.query_opt(&prepared, params).await
        })
        .await
    }

    pub(crate) async fn query_one(
        &self,
        statement: Statement,
        params: Params<'_>,
    ) -> Result<Row, LedgerError> {
        bounded(statement.name, self.spoiled, async {
            let prepared = self.inner.prepare_cached(statement.sql).await?;
            self.inner.query_one(&prepared, params).await
        })
        .await
    }

    /// Rows affected.
    pub(crate) async fn execute(&self, statement: Statement, params: Params<'_>) -> Result<u64, LedgerError> {
        bounded(statement.name, self.spoiled, async {
            let prepared = self.inner.prepare_cached(statement.sql).await?;
            self.inner.execute(&prepared, params).await
        })
        .await
    }

    /// After an error other than [`LedgerError::Refused`] the transaction may have been committed.
    pub(crate) async fn commit(self) -> Result<(), LedgerError> {
        bounded("COMMIT", self.spoiled, self.inner.commit()).await
    }
}

async fn bounded<T>(
    what: &'static str,
    spoiled: &AtomicBool,
    work: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, LedgerError> {
    match tokio::time::timeout(STATEMENT_DEADLINE, work).await {
        Ok(done) => done.map_err(LedgerError::from),
        Err(_) => {
            tracing::warn!(statement = what, "postgres did not answer in time, dropping the connection");
            spoiled.store(true, Ordering::Relaxed);
            Err(LedgerError::Deadline(STATEMENT_DEADLINE))
        }
    }
}
