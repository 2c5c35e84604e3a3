//! The way of a webhook in every reachable state, and what each broken variant does wrong.
#![expect(clippy::print_stdout, reason = "the README's figures come from here")]

use risiti_model::acknowledge::laws::{DURABLE, RECORDED_ONCE};
use risiti_model::acknowledge::{AcknowledgeModel, Mutation};
use stateright::{Checker, HasDiscoveries, Model as _};

#[test]
fn laws_hold_for_a_webhook_sent_three_times() {
    let checker = AcknowledgeModel::new(3, None)
        .checker()
        .threads(2)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    println!(
        "a webhook sent three times: {} states",
        checker.unique_state_count()
    );
    checker.assert_properties();
}

#[test]
fn every_mutation_breaks_its_law() {
    let broken = [
        (Mutation::RememberBeforeConfirm, DURABLE),
        (Mutation::AnswerBeforeConfirm, DURABLE),
        (Mutation::AckBeforeCommit, DURABLE),
        (Mutation::NoUniqueKey, RECORDED_ONCE),
    ];
    for (mutation, law) in broken {
        let checker = AcknowledgeModel::new(2, Some(mutation))
            .checker()
            .threads(2)
            .finish_when(HasDiscoveries::AnyOf([law].into()))
            .spawn_bfs()
            .join();
        let trace = checker
            .discovery(law)
            .unwrap_or_else(|| panic!("{mutation:?} does not break: {law}"));
        println!("{mutation:?} breaks: {law}\n  {:?}", trace.into_actions());
    }
}
