//! Tokens and leases in every reachable state, and what each broken variant does wrong.
#![expect(clippy::print_stdout, reason = "the README's figures come from here")]

use std::time::Instant;

use risiti_model::token::laws::{BOUNDED, NOTHING_BLIND, ONE_HOLDER, SETTLES};
use risiti_model::token::{ALWAYS, Mutation, Token};
use stateright::{Checker, HasDiscoveries, Model as _};

fn size(token: &Token) -> String {
    let Token {
        lanes,
        payments,
        recorders,
        tasks,
        wakers,
        faults,
        ..
    } = token;
    format!(
        "{lanes} lanes, {payments} sales each, {recorders} ledger workers, {tasks} tokens in hand, {wakers} wake loops, {faults} faults"
    )
}

fn holds(token: Token) {
    let (size, began) = (size(&token), Instant::now());
    let checker = token
        .checker()
        .threads(2)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    println!(
        "{size}: {} states, {} steps deep, {:.1} s",
        checker.unique_state_count(),
        checker.max_depth(),
        began.elapsed().as_secs_f64()
    );
    checker.assert_properties();
}

#[test]
fn one_lane_of_programs_that_die_or_freeze_and_thaw() {
    holds(Token::new(1, 2, ALWAYS).of(1, 2, 1));
}

#[test]
fn one_lane_of_two_wake_loops() {
    holds(Token::new(1, 1, ALWAYS).of(1, 2, 2));
}

#[test]
fn two_lanes_and_two_faults() {
    holds(Token::new(2, 1, 2).of(1, 2, 1));
}

#[test]
fn two_lanes_of_two_of_each_program_whose_statements_overlap() {
    holds(Token::new(2, 1, 0));
}

#[test]
fn tokens_alone_do_while_nothing_fails() {
    holds(Token::new(2, 2, 0).of(2, 2, 0).in_turn());
}

/// Which law breaks first.
fn breaks(token: Token, mutation: Mutation, law: &'static str) {
    let only = HasDiscoveries::AnyOf([law].into());
    let checker = token
        .broken(mutation)
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

#[test]
fn every_rule_is_needed() {
    use Mutation as M;
    let alone = || Token::new(1, 2, 0).of(2, 2, 0).in_turn();
    breaks(alone(), M::TokenBeforeCommit, SETTLES);
    breaks(alone(), M::MarkKept, SETTLES);
    breaks(alone(), M::ReleaseWithoutToken, SETTLES);
    breaks(alone(), M::ReleaseInTwoStatements, SETTLES);
    // Nothing has to fail: a release that does not see a sale yet, whose worker still sees the lease.
    breaks(Token::new(1, 2, 0), M::NoWakeLoop, SETTLES);
    let faulty = || Token::new(1, 2, ALWAYS).of(1, 2, 1);
    breaks(faulty(), M::MarksNeverLapse, SETTLES);
    breaks(faulty(), M::LeasesNeverExpire, SETTLES);
    breaks(faulty(), M::RequeuedWhenLeased, SETTLES);
    breaks(faulty(), M::WakesMarkedLanes, BOUNDED);
    breaks(faulty(), M::MarksMarkedLanes, BOUNDED);
    breaks(faulty(), M::WriteWithoutClaim, NOTHING_BLIND);
    breaks(faulty(), M::ClaimIdOfTheLane, ONE_HOLDER);
}
