use tokio_postgres::{Client, NoTls};
use url::Url;
use uuid::Uuid;

use crate::servers::{clean_up, database_url};

/// An empty database for one test, named `risiti_test_…`. It is dropped with this value, and every
/// connection that is still open to it ends.
#[derive(Debug)]
pub struct TestDatabase {
    server: String,
    name: String,
    url: String,
}

impl TestDatabase {
    /// Creates a database on the server that all tests share.
    ///
    /// # Panics
    /// Panics when `DATABASE_URL` is missing or does not answer, or its role may not create
    /// databases.
    pub async fn create() -> TestDatabase {
        TestDatabase::create_on(&database_url()).await
    }

    /// Creates a database on another server. Drop it before you stop that server.
    ///
    /// # Panics
    /// Panics when nothing answers there, or the role may not create databases.
    pub async fn create_on(server: &str) -> TestDatabase {
        let name = format!("risiti_test_{}", Uuid::now_v7().simple());
        let client = connect(server).await;
        client
            .batch_execute(&format!("CREATE DATABASE {name}"))
            .await
            .expect("creating a database for a test");

        let mut url = Url::parse(server).expect("a server is a URL");
        url.set_path(&name);
        TestDatabase {
            server: server.to_owned(),
            name,
            url: url.into(),
        }
    }

    /// Returns what a program takes as `DATABASE_URL`.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Opens a connection outside every pool, to observe the database or to hold a lock.
    pub async fn connect(&self) -> Client {
        connect(&self.url).await
    }

    /// Cuts every other connection to this database, as a restart of the server would.
    pub async fn cut_connections(&self) {
        let statement = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                         WHERE datname = current_database() AND pid <> pg_backend_pid()";
        self.connect()
            .await
            .execute(statement, &[])
            .await
            .expect("ending the other connections");
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let server = self.server.clone();
        clean_up(async move {
            let _ = connect(&server).await.batch_execute(&statement).await;
        });
    }
}

/// Removes every table, view and function of a database that may be going down meanwhile.
///
/// # Errors
/// Fails when Postgres cannot be reached or ends the session.
pub async fn empty_database(url: &str) -> Result<(), tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    // The statement in flight returns the same error.
    tokio::spawn(connection);
    client
        .batch_execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        .await
}

pub(crate) async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .expect("connecting to the test's Postgres");
    tokio::spawn(async move {
        // The connection ends with the client or when the test cuts it. The client's next call
        // fails then.
        let _ = connection.await;
    });
    client
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::eventually;

    async fn exists(name: &str) -> bool {
        let client = connect(&database_url()).await;
        let row = client
            .query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&name])
            .await;
        row.unwrap().is_some()
    }

    #[tokio::test]
    async fn database_goes_with_its_value_despite_an_open_connection() {
        let database = TestDatabase::create().await;
        let name = database.name().to_owned();
        let open = database.connect().await;
        open.batch_execute("CREATE TABLE t (x int)").await.unwrap();
        assert!(exists(&name).await);

        drop(database);
        assert!(!exists(&name).await);
        open.batch_execute("SELECT 1").await.unwrap_err();
    }

    #[tokio::test]
    async fn cutting_connections_leaves_other_databases_alone() {
        let one = TestDatabase::create().await;
        let other = TestDatabase::create().await;
        let cut = one.connect().await;
        let kept = other.connect().await;
        one.cut_connections().await;
        eventually(
            "the connection is gone",
            Duration::from_secs(10),
            async || cut.batch_execute("SELECT 1").await.is_err().then_some(()),
        )
        .await;
        kept.batch_execute("SELECT 1").await.unwrap();
    }
}
