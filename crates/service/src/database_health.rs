//! Whether a worker's database can be used: reachable, writable, with the expected schema.

use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::{BadSetting, Readiness};

const PROBE_PAUSE_WHEN_UNAVAILABLE: Duration = Duration::from_millis(500);
const PROBE_PAUSE_WHEN_AVAILABLE: Duration = Duration::from_secs(1);
/// A lost connection is probed again at once. This keeps a failing worker from probing in a tight
/// loop.
const PROBE_PAUSE_WHEN_LOST: Duration = Duration::from_millis(50);
/// A frozen Postgres answers no probe. Readiness reports it before the probe gives up.
const CONFIRMED_FOR: Duration = Duration::from_secs(4);

/// Why a database cannot be used.
#[derive(Debug)]
pub enum DatabaseProblem {
    /// It does not answer, or takes no writes.
    Unavailable(String),
    /// It answers, and its schema is not the one this program was built for.
    Schema(String),
    /// A setting does not fit this database, so that waiting helps nobody.
    Setting(BadSetting),
}

/// Workers wait here while the database is away (protocol B3).
#[derive(Debug)]
pub struct DatabaseHealth {
    available: watch::Sender<bool>,
    probe_now: Notify,
}

impl Default for DatabaseHealth {
    fn default() -> Self {
        Self {
            available: watch::Sender::new(false),
            probe_now: Notify::new(),
        }
    }
}

impl DatabaseHealth {
    /// Waits until the database is available.
    pub async fn wait_available(&self) {
        // Cannot fail: `self` holds the sender.
        let _ = self.subscribe().wait_for(|available| *available).await;
    }

    /// Waits until the database is not available.
    pub async fn wait_unavailable(&self) {
        // As in `wait_available`.
        let _ = self.subscribe().wait_for(|available| !*available).await;
    }

    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<bool> {
        self.available.subscribe()
    }

    /// Reports that work failed because of the database. It counts as unavailable until it is
    /// probed.
    pub fn report_lost(&self) {
        self.available.send_replace(false);
        self.probe_now.notify_one();
    }

    /// Probes the database and reports to the readiness checks `database` and `schema`. Ends only
    /// with a setting that does not fit the database.
    pub async fn watch(
        &self,
        readiness: &Readiness,
        mut probe: impl AsyncFnMut() -> Result<(), DatabaseProblem>,
    ) -> BadSetting {
        let mut was_available = None;
        loop {
            let found = match probe().await {
                Err(DatabaseProblem::Setting(bad)) => return bad,
                found => found,
            };
            self.report(&found, readiness);
            let available = found.is_ok();
            if was_available.replace(available) != Some(available) {
                match &found {
                    Err(
                        DatabaseProblem::Unavailable(problem) | DatabaseProblem::Schema(problem),
                    ) => tracing::warn!("database unavailable: {problem}"),
                    _ => tracing::info!("database available"),
                }
            }

            let pause = if available {
                PROBE_PAUSE_WHEN_AVAILABLE
            } else {
                PROBE_PAUSE_WHEN_UNAVAILABLE
            };
            tokio::select! {
                () = self.probe_now.notified() => tokio::time::sleep(PROBE_PAUSE_WHEN_LOST).await,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn report(&self, found: &Result<(), DatabaseProblem>, readiness: &Readiness) {
        let (database, schema) = match found {
            Err(DatabaseProblem::Schema(problem)) => (Ok(()), Err(problem.clone())),
            Err(DatabaseProblem::Unavailable(problem)) => (
                Err(problem.clone()),
                Err("not known while the database is unavailable".to_owned()),
            ),
            _ => (Ok(()), Ok(())),
        };
        readiness.set_for("database", database, CONFIRMED_FOR);
        readiness.set("schema", schema);
        // Only a change wakes those who follow.
        self.available
            .send_if_modified(|was| std::mem::replace(was, found.is_ok()) != found.is_ok());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn wrong_schema_is_not_an_unreachable_database() {
        let health = DatabaseHealth::default();
        let readiness = Readiness::default();
        let wrong = DatabaseProblem::Schema("V2 is missing".to_owned());
        health.report(&Err(wrong), &readiness);
        let missing = readiness.missing().join("; ");
        assert!(
            missing.contains("V2 is missing") && !missing.contains("database:"),
            "{missing}"
        );
        health.report(&Ok(()), &readiness);
        assert!(readiness.missing().is_empty());
        health.wait_available().await;
    }

    #[tokio::test]
    async fn setting_that_does_not_fit_ends_the_watch() {
        let health = DatabaseHealth::default();
        let bad = health
            .watch(&Readiness::default(), async || {
                Err(DatabaseProblem::Setting(BadSetting::new("--key", "wrong")))
            })
            .await;
        assert_eq!(bad.to_string(), "--key: wrong");
    }
}
