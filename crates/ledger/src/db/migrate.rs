//! Applies the migrations, each once, however many programs try at the same time.

use std::future::poll_fn;

use refinery::Migration;
use secrecy::SecretString;
use serde_json::json;
use tokio_postgres::AsyncMessage;

use crate::db::connect::{Driver, connect};
use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::session::SessionCheck;
use crate::operator_actions::RecordedChange;

mod embedded {
    refinery::embed_migrations!("../../migrations");
}

/// The key of the advisory lock ("risiti" in ASCII). Any constant does that nothing else in the
/// database uses.
const MIGRATION_LOCK: i64 = 0x7269_7369_7469;

/// What `migrate` did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationReport {
    /// The migrations applied just now, named like `V1__directory`. Empty when the schema was up to
    /// date.
    pub applied: Vec<String>,
    /// The version that the schema had before. `None` where it had none, or nothing was applied.
    pub before: Option<i32>,
    /// The version of the newest migration.
    pub version: i32,
    /// What could not be done and may be left undone, such as a role that this login may not
    /// create.
    pub warnings: Vec<String>,
}

/// Applies the migrations that are missing, each in a transaction of its own, then sets up the
/// roles.
///
/// All of it happens on one connection under an advisory lock, because refinery's driver takes none
/// (protocol C11).
///
/// # Errors
/// [`LedgerError::Migration`] when a migration fails, or an applied one differs from the embedded
/// one.
pub async fn migrate(url: &SecretString) -> Result<MigrationReport, LedgerError> {
    let (mut client, connection) = connect(url, "risiti-admin").await?;
    let driver = tokio::spawn(drive(connection));
    // The advisory lock would be another session's than the migrations.
    SessionCheck::default().run(&client, url).await?;

    // A waiter must not give up while the first one works, and a migration may take its time.
    client
        .batch_execute("SET statement_timeout = 0; SET lock_timeout = 0")
        .await?;
    client
        .execute("SELECT pg_advisory_lock($1)", &[&MIGRATION_LOCK])
        .await?;

    let applied = embedded::migrations::runner().run_async(&mut client).await;
    let applied = applied.map_err(|error| LedgerError::Migration(chain(&error)))?;
    client.batch_execute("SELECT set_up_roles()").await?;

    // This ends the session, and the lock with it.
    drop(client);
    let mut warnings = driver.await.unwrap_or_default();
    warnings.sort();
    warnings.dedup();

    let applied = applied.applied_migrations();
    let before = applied
        .first()
        .and_then(|first| version_before(first.version()));
    let applied = applied
        .iter()
        .map(|migration| migration.to_string())
        .collect();
    Ok(MigrationReport {
        applied,
        before,
        version: newest_version(),
        warnings,
    })
}

impl Ledger {
    /// Writes down who brought an older schema up to date. The first migration makes the table for
    /// it, so that it is written down nowhere.
    pub async fn record_migration(&self, report: &MigrationReport) -> Result<(), LedgerError> {
        let Some(before) = report.before else {
            return Ok(());
        };
        let mut connection = self.connection().await?;
        let transaction = connection.transaction().await?;
        let change = RecordedChange {
            operator: self.operator(),
            reason: None,
            subject: json!({ "applied": report.applied }),
            changes: json!({ "schema_version": [before, report.version] }),
        };
        transaction.record_change("migrate", change).await?;
        transaction.commit().await
    }
}

/// Drives the connection to its end and collects the server's warnings.
async fn drive(mut connection: Driver) -> Vec<String> {
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

/// The version that a schema has which lacks this migration and those after it.
fn version_before(version: i32) -> Option<i32> {
    let versions = embedded_migrations()
        .into_iter()
        .map(|known| known.version());
    versions.filter(|known| *known < version).max()
}

fn newest_version() -> i32 {
    embedded_migrations()
        .last()
        .map_or(0, |migration| migration.version())
}

fn embedded_migrations() -> Vec<Migration> {
    let mut migrations = embedded::migrations::runner().get_migrations().clone();
    migrations.sort();
    migrations
}

/// Compares the applied migrations, as (version, name, checksum), with the embedded ones.
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

/// The error with all its sources, because refinery hides the server's message in the source chain.
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
    fn embedded_migrations_compare_equal_to_themselves() {
        assert!(!rows().is_empty());
        assert!(compare(&rows()).is_ok());
    }

    #[test]
    fn missing_changed_and_unknown_migrations_differ() {
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
