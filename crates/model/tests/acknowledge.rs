//! The way of a webhook in every reachable state, and what each broken variant does wrong.
#![expect(clippy::print_stdout, reason = "the README's figures come from here")]

use risiti_model::acknowledge::{Acknowledge, KEPT, Mutation, ONCE};
use stateright::{Checker, HasDiscoveries, Model as _};

#[test]
fn a_webhook_told_three_times() {
    let model = Acknowledge::new(3, None);
    let checker = model
        .checker()
        .threads(2)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    println!(
        "a webhook told three times: {} states",
        checker.unique_state_count()
    );
    checker.assert_properties();
}

#[test]
fn every_rule_is_needed() {
    let broken = [
        (Mutation::MarkBeforeConfirm, KEPT),
        (Mutation::AnswerBeforeConfirm, KEPT),
        (Mutation::AckBeforeCommit, KEPT),
        (Mutation::NoUniqueKey, ONCE),
    ];
    for (mutation, law) in broken {
        let only = HasDiscoveries::AnyOf([law].into());
        let checker = Acknowledge::new(2, Some(mutation))
            .checker()
            .threads(2)
            .finish_when(only)
            .spawn_bfs()
            .join();
        let trace = checker
            .discovery(law)
            .unwrap_or_else(|| panic!("{mutation:?} breaks nothing"));
        println!("{mutation:?} breaks: {law}\n  {:?}", trace.into_actions());
    }
}
