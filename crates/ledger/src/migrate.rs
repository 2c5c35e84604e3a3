//! Brings the schema up to date, once, however many programs try at the same time.

use std::time::Duration;

use refinery::{Migration, Report as Applied};
use secrecy::SecretString;
use tokio_postgres::NoTls;

use crate::error::LedgerError;
use crate::pool;

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
}

/// Applies what is missing, each migration in its own transaction, on its own connection, under an
/// advisory lock (refinery's driver takes none, protocol C11).
///
/// # Errors
/// [`LedgerError::Migration`] when a migration fails, or an applied one differs from the embedded one.
pub async fn migrate(url: &SecretString) -> Result<Report, LedgerError> {
    let config = pool::config(url, "risiti-admin")?;
    let (mut client, connection) = config.connect(NoTls).await.map_err(LedgerError::unreachable)?;
    let driver = tokio::spawn(connection);
    // A waiter must not wait behind a dead peer for ever, and a migration may take its time.
    client.batch_execute("SET statement_timeout = 0; SET lock_timeout = 0").await?;
    client.execute("SELECT pg_advisory_lock($1)", &[&LOCK]).await?;
    let report = embedded::migrations::runner().run_async(&mut client).await;
    let report = report.map_err(|error| LedgerError::Migration(chain(&error)))?;
    // Ends the session, and the lock with it.
    drop(client);
    let _ = tokio::time::timeout(Duration::from_secs(5), driver).await;
    Ok(summary(&report))
}

fn summary(report: &Applied) -> Report {
    let applied = report.applied_migrations().iter().map(|migration| migration.to_string()).collect();
    Report { applied, version: newest() }
}

fn newest() -> i32 {
    embedded_migrations().last().map_or(0, |migration| migration.version())
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
                return Err(LedgerError::Schema(format!("{migration} was applied with other contents")));
            }
            Some(_) => {}
        }
    }
    match applied.iter().find(|row| !embedded.iter().any(|m| m.version() == row.0)) {
        Some((version, name, _)) => {
            Err(LedgerError::Schema(format!("V{version}__{name} is newer than this program: upgrade it")))
        }
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
        assert!(compare(&missing).unwrap_err().to_string().contains("is missing"));

        let mut changed = rows();
        changed[0].2 = "1".to_owned();
        assert!(compare(&changed).unwrap_err().to_string().contains("other contents"));

        let mut newer = rows();
        newer.push((9999, "later".to_owned(), "1".to_owned()));
        assert!(compare(&newer).unwrap_err().to_string().contains("newer than this program"));
    }
}
