//! Brings the schema up to date, once, however many programs try at the same time.

use std::future::poll_fn;

use refinery::Migration;
use secrecy::SecretString;
use tokio_postgres::AsyncMessage;

use crate::db::error::LedgerError;
use crate::db::pool;

mod embedded {
    refinery::embed_migrations!("../../migrations");
}

/// Any constant will do, as long as nothing else in the database uses it ("risiti" in ASCII).
const LOCK: i64 = 0x7269_7369_7469;

/// What `migrate` did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Applied just now, as `V1__directory`; empty when the schema was up to date.
    pub applied: Vec<String>,
    /// Of the newest migration.
    pub version: i32,
    /// What could not be done and does not have to be: a role that this login may not make.
    pub warnings: Vec<String>,
}

/// Applies what is missing, each migration in its own transaction, on its own connection, under an
/// advisory lock (refinery's driver takes none, protocol C11). Then sees to the roles, each time.
///
/// # Errors
/// [`LedgerError::Migration`] when a migration fails, or an applied one differs from the embedded one.
pub async fn migrate(url: &SecretString) -> Result<Report, LedgerError> {
    let (mut client, connection) = pool::connect(url, "risiti-admin").await?;
    let driver = tokio::spawn(drive(connection));
    // A waiter must not give up while the first one works, and a migration may take its time.
    client
        .batch_execute("SET statement_timeout = 0; SET lock_timeout = 0")
        .await?;
    client
        .execute("SELECT pg_advisory_lock($1)", &[&LOCK])
        .await?;
    let applied = embedded::migrations::runner().run_async(&mut client).await;
    let applied = applied.map_err(|error| LedgerError::Migration(chain(&error)))?;
    client.batch_execute("SELECT set_up_roles()").await?;
    // Ends the session, and the lock with it.
    drop(client);
    let mut warnings = driver.await.unwrap_or_default();
    warnings.sort();
    warnings.dedup();
    let applied = applied
        .applied_migrations()
        .iter()
        .map(|migration| migration.to_string())
        .collect();
    Ok(Report {
        applied,
        version: newest(),
        warnings,
    })
}

/// Drives the connection to its end and returns the server's warnings.
async fn drive(mut connection: pool::Driver) -> Vec<String> {
    let mut warnings = Vec::new();
    while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
        if let AsyncMessage::Notice(notice) = message
            && notice.severity() == "WARNING"
        {
            warnings.push(notice.message().to_owned());
        }
    }
    warnings
}

fn newest() -> i32 {
    embedded_migrations()
        .last()
        .map_or(0, |migration| migration.version())
}

fn embedded_migrations() -> Vec<Migration> {
    let mut migrations = embedded::migrations::runner().get_migrations().clone();
    migrations.sort();
    migrations
}

/// Compares applied (version, name, checksum) rows with the embedded migrations.
pub(crate) fn compare(applied: &[(i32, String, String)]) -> Result<(), LedgerError> {
    let embedded = embedded_migrations();
    for migration in &embedded {
        let version = migration.version();
        match applied.iter().find(|row| row.0 == version) {
            None => {
                return Err(LedgerError::Schema(format!(
                    "{migration} is missing: run `risiti-admin migrate`"
                )));
            }
            Some((_, _, checksum)) if *checksum != migration.checksum().to_string() => {
                return Err(LedgerError::Schema(format!(
                    "{migration} was applied with other contents"
                )));
            }
            Some(_) => {}
        }
    }
    match applied
        .iter()
        .find(|row| !embedded.iter().any(|m| m.version() == row.0))
    {
        Some((version, name, _)) => Err(LedgerError::Schema(format!(
            "V{version}__{name} is newer than this program: upgrade it"
        ))),
        None => Ok(()),
    }
}

/// refinery hides the server's message in the source chain.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<(i32, String, String)> {
        embedded_migrations()
            .iter()
            .map(|m| (m.version(), m.name().to_owned(), m.checksum().to_string()))
            .collect()
    }

    #[test]
    fn the_embedded_schema_is_the_expected_one() {
        assert!(!rows().is_empty());
        assert!(compare(&rows()).is_ok());
    }

    #[test]
    fn a_missing_a_changed_and_an_unknown_migration_are_told_apart() {
        let mut missing = rows();
        missing.pop();
        assert!(
            compare(&missing)
                .unwrap_err()
                .to_string()
                .contains("is missing")
        );

        let mut changed = rows();
        changed[0].2 = "1".to_owned();
        assert!(
            compare(&changed)
                .unwrap_err()
                .to_string()
                .contains("other contents")
        );

        let mut newer = rows();
        newer.push((9999, "later".to_owned(), "1".to_owned()));
        assert!(
            compare(&newer)
                .unwrap_err()
                .to_string()
                .contains("newer than this program")
        );
    }
}
