//! The way of a webhook in every reachable state, and what each broken variant does wrong.
#![expect(clippy::print_stdout, reason = "the README's figures come from here")]

mod broken;

use risiti_model::acknowledge::laws::{DURABLE, RECORDED_ONCE};
use risiti_model::acknowledge::{AcknowledgeModel, Mutation};
use stateright::{Checker, HasDiscoveries, Model as _};

use broken::assert_breaks;

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
        assert_breaks(AcknowledgeModel::new(2, Some(mutation)), mutation, law);
    }
}
