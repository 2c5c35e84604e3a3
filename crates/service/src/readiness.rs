//! Whether a program can do its work now, and what it still lacks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Named checks, shared by the components that set them and the listener that shows them. A program
/// is ready when it has at least one check and none fails.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<BTreeMap<&'static str, Check>>>);

#[derive(Debug)]
struct Check {
    state: Result<(), String>,
    /// When the state was last confirmed, and how long that holds. `None` holds for ever.
    confirmed: Option<(Instant, Duration)>,
}

impl Check {
    fn problem(&self, now: Instant) -> Option<String> {
        match (&self.state, self.confirmed) {
            (Err(reason), _) => Some(reason.clone()),
            (Ok(()), Some((at, holds))) if now.saturating_duration_since(at) > holds => {
                Some(format!(
                    "no answer for {} s",
                    now.saturating_duration_since(at).as_secs()
                ))
            }
            (Ok(()), _) => None,
        }
    }
}

impl Readiness {
    /// Sets a check. The reason of a failure must hold no secret, because everybody who can reach
    /// the private listener sees it.
    pub fn set(&self, check: &'static str, state: Result<(), String>) {
        self.checks().insert(
            check,
            Check {
                state,
                confirmed: None,
            },
        );
    }

    /// Sets a check that is repeated. A good state fails once it is older than `holds`, because the
    /// component that checks may itself wait for something that is frozen.
    pub fn set_for(&self, check: &'static str, state: Result<(), String>, holds: Duration) {
        self.checks().insert(
            check,
            Check {
                state,
                confirmed: Some((Instant::now(), holds)),
            },
        );
    }

    /// Announces checks. The program is not ready until each of them was set.
    pub fn expect(&self, checks: &[&'static str]) {
        for check in checks {
            let unknown = || Check {
                state: Err("not known yet".into()),
                confirmed: None,
            };
            self.checks().entry(check).or_insert_with(unknown);
        }
    }

    /// Every failing check as `name: reason`. Empty when ready.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        let checks = self.checks();
        if checks.is_empty() {
            return vec!["still starting".into()];
        }
        let now = Instant::now();
        let failing = checks
            .iter()
            .filter_map(|(name, check)| Some((name, check.problem(now)?)));
        failing
            .map(|(name, reason)| format!("{name}: {reason}"))
            .collect()
    }

    fn checks(&self) -> MutexGuard<'_, BTreeMap<&'static str, Check>> {
        // Each statement leaves the map consistent, so it is usable even after a panic elsewhere.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn program_without_checks_is_not_ready() {
        assert_eq!(Readiness::default().missing(), ["still starting"]);
    }

    #[test]
    fn expected_check_is_missing_until_it_is_set() {
        let readiness = Readiness::default();
        readiness.set("broker", Ok(()));
        readiness.expect(&["broker", "database"]);
        assert_eq!(readiness.missing(), ["database: not known yet"]);
        readiness.set("database", Ok(()));
        assert_eq!(readiness.missing(), [""; 0]);
    }

    #[test]
    fn state_that_is_not_confirmed_in_time_fails() {
        let began = Instant::now();
        let check = |state| Check {
            state,
            confirmed: Some((began, Duration::from_secs(3))),
        };
        let after = |seconds| began + Duration::from_secs(seconds);
        assert_eq!(check(Ok(())).problem(after(3)), None);
        assert_eq!(
            check(Ok(())).problem(after(4)).as_deref(),
            Some("no answer for 4 s")
        );
        assert_eq!(
            check(Err("away".into())).problem(after(0)).as_deref(),
            Some("away")
        );
        let readiness = Readiness::default();
        readiness.set_for("database", Ok(()), Duration::ZERO);
        assert!(readiness.missing()[0].starts_with("database: no answer for"));
        readiness.set_for("database", Ok(()), Duration::from_secs(60));
        assert_eq!(readiness.missing(), [""; 0]);
    }

    #[test]
    fn only_failing_checks_are_missing() {
        let readiness = Readiness::default();
        readiness.set("database", Ok(()));
        readiness.set("broker", Err("not connected".into()));
        assert_eq!(readiness.missing(), ["broker: not connected"]);
        readiness.set("broker", Ok(()));
        assert_eq!(readiness.missing(), [""; 0]);
    }
}
