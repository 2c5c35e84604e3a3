//! The cap in every reachable state, and what each broken variant does wrong.
#![expect(clippy::print_stdout, reason = "the README's figures come from here")]

mod broken;

use std::time::Instant;

use risiti_model::cap::laws::CAP;
use risiti_model::cap::{CapModel, Mutation};
use stateright::{Checker, HasDiscoveries, Model as _};

use broken::assert_breaks;

fn check(workers: usize, cap: u8) {
    let begun = Instant::now();
    let model = CapModel {
        workers,
        cap,
        mutation: None,
    };
    let checker = model
        .checker()
        .threads(2)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    println!(
        "{workers} workers, a cap of {cap}: {} states, {} steps deep, {:.1} s",
        checker.unique_state_count(),
        checker.max_depth(),
        begun.elapsed().as_secs_f64(),
    );
    checker.assert_properties();
}

#[test]
fn the_cap_holds_with_two_workers() {
    check(2, 2);
}

#[test]
fn the_cap_holds_with_three_workers() {
    check(3, 1);
}

#[test]
fn every_mutation_breaks_the_cap() {
    let mutations = [
        Mutation::ReclaimAtExpiry,
        Mutation::CallWhenStale,
        Mutation::LowerIgnoresCalls,
        Mutation::LowerLate,
        Mutation::RaiseWithoutLock,
        Mutation::UseBeforeRecorded,
        Mutation::LeaveForgetsCalls,
    ];
    for mutation in mutations {
        let model = CapModel {
            workers: 2,
            cap: 2,
            mutation: Some(mutation),
        };
        assert_breaks(model, mutation, CAP);
    }
}
