//! Checks that the recorded transitions of every payment and invoice lead to its state.

use std::collections::BTreeMap;

use super::breach::{Breaches, Law};
use super::views::{StateHistory, Transition};

/// Transitions of one database transaction have the same time, so their order is not checked.
/// Everything must have been created once. Each state must have been left as often as it was
/// reached, except the present one, which was reached once more.
pub(crate) fn check(histories: &[StateHistory], breaches: &mut Breaches) {
    for history in histories {
        let created = history
            .transitions
            .iter()
            .filter(|transition| transition.from.is_none())
            .count();

        let mut balance: BTreeMap<&str, i64> = BTreeMap::new();
        for Transition { from, to, .. } in &history.transitions {
            *balance.entry(to).or_default() += 1;
            if let Some(from) = from {
                *balance.entry(from).or_default() -= 1;
            }
        }
        balance.retain(|_, times| *times != 0);

        if created != 1 || balance != BTreeMap::from([(history.state.as_str(), 1)]) {
            let what = format!(
                "is {}, and its transitions do not lead there: {:?}",
                history.state, history.transitions
            );
            breaches.wrong(Law::StateHistory, &history.id, what);
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    /// Whether the audit finds a breach. An empty `from` means that the thing was created.
    fn is_breach(state: &str, transitions: &[(&str, &str)]) -> bool {
        let transition = |(from, to): &(&str, &str)| Transition {
            at: Timestamp::UNIX_EPOCH,
            from: Some((*from).to_owned()).filter(|from| !from.is_empty()),
            to: (*to).to_owned(),
        };
        let history = StateHistory {
            id: "1".to_owned(),
            state: state.to_owned(),
            transitions: transitions.iter().map(transition).collect(),
        };
        let mut breaches = Breaches::default();
        check(&[history], &mut breaches);
        breaches.count_against(Law::StateHistory) > 0
    }

    #[test]
    fn transitions_may_come_in_any_order() {
        let replayed = [
            ("submitting", "dead"),
            ("", "pending"),
            ("dead", "pending"),
            ("pending", "submitting"),
        ];
        assert!(!is_breach("pending", &replayed));
        assert!(!is_breach(
            "failed",
            &[("pending", "failed"), ("", "pending")]
        ));
    }

    #[test]
    fn missing_or_repeated_transition_is_found() {
        assert!(is_breach("success", &[]));
        assert!(is_breach("success", &[("", "pending")]));
        assert!(is_breach("success", &[("pending", "success")]));
        assert!(is_breach(
            "success",
            &[
                ("", "pending"),
                ("pending", "success"),
                ("pending", "success")
            ]
        ));
        assert!(is_breach(
            "success",
            &[("", "pending"), ("pending", "failed")]
        ));
    }
}
