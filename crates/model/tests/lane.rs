//! The lane protocol in every reachable state, and what each broken variant of it does wrong.
#![expect(clippy::print_stdout, reason = "the README's figures come from here")]

use std::time::Instant;

use risiti_model::lane::laws::{DEATH_TOLD, SAME_BOOKS, SETTLES};
use risiti_model::lane::{Lane, Mutation};
use stateright::{Checker, HasDiscoveries, Model as _};

/// As often as it likes.
const ALWAYS: u8 = u8::MAX;

fn holds(lane: Lane) {
    let (sales, workers, takeovers) = (lane.sales, lane.workers, lane.takeovers);
    let began = Instant::now();
    let checker = lane.checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    println!(
        "{sales} sales, {workers} workers, {takeovers} thaws: {} states, {} steps deep, {:.1} s",
        checker.unique_state_count(),
        checker.max_depth(),
        began.elapsed().as_secs_f64()
    );
    checker.assert_properties();
}

#[test]
fn two_sales_of_workers_that_die() {
    holds(Lane::new(2, 1, 0));
}

#[test]
fn one_sale_of_workers_that_die_or_freeze_and_thaw() {
    holds(Lane::new(1, 2, ALWAYS));
}

#[test]
#[ignore = "some minutes and gigabytes; the README has the command"]
fn two_sales_of_workers_that_die_or_freeze_and_thaw() {
    holds(Lane::new(2, 2, 1));
}

/// Which law breaks first.
fn breaks(mutation: Mutation, sales: u8, workers: u8, law: &'static str) {
    let lane = Lane::new(sales, workers, 1).broken(mutation);
    let only = HasDiscoveries::AnyOf([law].into());
    let checker = lane.checker().threads(2).finish_when(only).spawn_bfs().join();
    let trace = checker.discovery(law).unwrap_or_else(|| panic!("{mutation:?} breaks nothing"));
    println!("{mutation:?} breaks: {law}\n  {:?}", trace.into_actions());
}

#[test]
fn every_rule_is_needed() {
    use Mutation as M;
    breaks(M::NewNumberAfterUnknown, 1, 1, SAME_BOOKS);
    breaks(M::ResendWithoutLookUp, 1, 1, SETTLES);
    breaks(M::RefusalForgetsOpenSends, 1, 1, SETTLES);
    breaks(M::NoLaterLookUps, 1, 1, SETTLES);
    breaks(M::NoLaterLookUpsOfDiscarded, 1, 1, SETTLES);
    breaks(M::DiscardWithoutLookUp, 1, 1, SETTLES);
    breaks(M::OutcomeWithoutClaim, 1, 2, SETTLES);
    breaks(M::ClaimsNotExclusive, 2, 2, SETTLES);
    breaks(M::FoundIsMine, 2, 1, SAME_BOOKS);
    breaks(M::FoundOfAnotherIsAbsent, 2, 1, SETTLES);
    breaks(M::DeathPassesNumber, 1, 1, SAME_BOOKS);
    breaks(M::RowBeforeMessage, 1, 1, DEATH_TOLD);
    breaks(M::ResendHidden, 1, 1, SETTLES);
}
