//! Whether the transitions tell the whole story of every payment and invoice.

use std::collections::BTreeMap;

use super::breach::{Breaches, Law};
use super::views::{History, Move};

/// Moves of one transaction share their time, so it is not their order that is checked: each state must have been
/// left as often as it was reached, but for the one that holds, and everything was made once.
pub(crate) fn check(histories: &[History], breaches: &mut Breaches) {
    for history in histories {
        let made = history
            .moves
            .iter()
            .filter(|change| change.from.is_none())
            .count();
        let mut balance: BTreeMap<&str, i64> = BTreeMap::new();
        for Move { from, to, .. } in &history.moves {
            *balance.entry(to).or_default() += 1;
            if let Some(from) = from {
                *balance.entry(from).or_default() -= 1;
            }
        }
        balance.retain(|_, times| *times != 0);
        if made != 1 || balance != BTreeMap::from([(history.state.as_str(), 1)]) {
            let what = format!(
                "is {}, and its moves do not lead there: {:?}",
                history.state, history.moves
            );
            breaches.wrong(Law::History, &history.id, what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaks(state: &str, moves: &[(&str, &str)]) -> bool {
        let change = |(from, to): &(&str, &str)| Move {
            at: jiff::Timestamp::UNIX_EPOCH,
            from: Some((*from).to_owned()).filter(|from| !from.is_empty()),
            to: (*to).to_owned(),
        };
        let moves = moves.iter().map(change).collect();
        let mut breaches = Breaches::default();
        check(
            &[History {
                id: "1".to_owned(),
                state: state.to_owned(),
                moves,
            }],
            &mut breaches,
        );
        breaches.against(Law::History) > 0
    }

    #[test]
    fn moves_lead_to_the_state_that_holds_in_any_order() {
        let replayed = [
            ("submitting", "dead"),
            ("", "pending"),
            ("dead", "pending"),
            ("pending", "submitting"),
        ];
        assert!(!breaks("pending", &replayed));
        assert!(!breaks("failed", &[("pending", "failed"), ("", "pending")]));
    }

    #[test]
    fn a_move_that_is_missing_or_told_twice_is_found() {
        assert!(breaks("success", &[]));
        assert!(breaks("success", &[("", "pending")]));
        assert!(breaks("success", &[("pending", "success")]));
        assert!(breaks(
            "success",
            &[
                ("", "pending"),
                ("pending", "success"),
                ("pending", "success")
            ]
        ));
        assert!(breaks("success", &[("", "pending"), ("pending", "failed")]));
    }
}
