//! What a program still misses before it can do its work.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// A set of named checks, shared by the components that set them and the listener that shows them. Ready means that at least one check
/// exists and none is failing.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<BTreeMap<&'static str, Result<(), String>>>>);

impl Readiness {
    /// Sets a check. The reason is shown to whoever can reach the private listener: no secrets.
    pub fn set(&self, check: &'static str, state: Result<(), String>) {
        self.checks().insert(check, state);
    }

    /// Names the checks to come: until each was set, the program is not ready.
    pub fn expect(&self, checks: &[&'static str]) {
        for check in checks {
            self.checks().entry(check).or_insert_with(|| Err("not known yet".into()));
        }
    }

    /// Each failing check as `name: reason`; empty when ready.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        let checks = self.checks();
        if checks.is_empty() {
            return vec!["still starting".into()];
        }
        let failing = checks.iter().filter_map(|(name, state)| Some((name, state.as_ref().err()?)));
        failing.map(|(name, reason)| format!("{name}: {reason}")).collect()
    }

    fn checks(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, Result<(), String>>> {
        // The map is whole between any two statements, so a panic elsewhere cannot have broken it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_has_checked_nothing_is_not_ready() {
        assert_eq!(Readiness::default().missing(), ["still starting"]);
    }

    #[test]
    fn an_expected_check_is_missing_until_it_is_set() {
        let readiness = Readiness::default();
        readiness.set("broker", Ok(()));
        readiness.expect(&["broker", "database"]);
        assert_eq!(readiness.missing(), ["database: not known yet"]);
        readiness.set("database", Ok(()));
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
