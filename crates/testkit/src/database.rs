use tokio_postgres::{Client, NoTls};
use url::Url;
use uuid::Uuid;

use crate::servers::{clean_up, database_url};

/// An empty database for one test, `risiti_test_…`, dropped with this value together with every connection
/// that is still open to it.
#[derive(Debug)]
pub struct TestDatabase {
    server: String,
    name: String,
    url: String,
}

impl TestDatabase {
    /// # Panics
    /// Where `DATABASE_URL` is missing, does not answer, or its role may not create databases.
    pub async fn create() -> TestDatabase {
        TestDatabase::create_on(&database_url()).await
    }

    /// On another server than the one that all tests share; drop it before that.
    ///
    /// # Panics
    /// Where nothing answers there, or its role may not create databases.
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

    /// What a program takes as `DATABASE_URL`.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// A connection outside every pool: to look from the side, or to hold a lock.
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

/// Takes away every table, view and function of a database that may be going down meanwhile.
///
/// # Errors
/// Postgres cannot be reached, or ends the session.
pub async fn empty_database(url: &str) -> Result<(), tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    // Its error is that of the statement in flight.
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
        // Ends with the client, or when the test cuts it; the client's next call then says so.
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
    async fn lives_as_long_as_the_value_even_with_a_connection_open() {
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
    async fn cut_connections_are_noticed_by_their_owner_only() {
        let (one, other) = (TestDatabase::create().await, TestDatabase::create().await);
        let (cut, kept) = (one.connect().await, other.connect().await);
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
