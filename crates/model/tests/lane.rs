//! The lane protocol in every reachable state, and what each broken variant of it does wrong.
#![expect(clippy::print_stdout, reason = "the README's figures come from here")]

use std::time::Instant;

use risiti_model::lane::laws::{
    DEATH_TOLD, NOT_WITHDRAWN, SALE_FIRST, SAME_BOOKS, SETTLES, WITH_SALE,
};
use risiti_model::lane::{Lane, Mutation};
use stateright::{Checker, HasDiscoveries, Model as _};

/// As often as it likes.
const ALWAYS: u8 = u8::MAX;

fn holds(lane: Lane) {
    let Lane {
        sales,
        workers,
        takeovers,
        credit_note,
        ..
    } = lane;
    let began = Instant::now();
    let checker = lane
        .checker()
        .threads(2)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    let note = if credit_note {
        ", the last a credit note"
    } else {
        ""
    };
    println!(
        "{sales} sales{note}, {workers} workers, {takeovers} thaws: {} states, {} steps deep, {:.1} s",
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
fn a_sale_and_its_credit_note_of_workers_that_die_or_freeze_and_thaw() {
    holds(Lane::new(2, 2, 1).with_credit_note());
}

#[test]
fn two_sales_and_a_credit_note_of_workers_that_die() {
    holds(Lane::new(3, 1, 0).with_credit_note());
}

#[test]
#[ignore = "some minutes and gigabytes; the README has the command"]
fn two_sales_of_workers_that_die_or_freeze_and_thaw() {
    holds(Lane::new(2, 2, 1));
}

/// Which law breaks first.
fn breaks(mutation: Mutation, sales: u8, workers: u8, law: &'static str) {
    breaks_of(Lane::new(sales, workers, 1), mutation, law);
}

fn breaks_of(lane: Lane, mutation: Mutation, law: &'static str) {
    let lane = lane.broken(mutation);
    let only = HasDiscoveries::AnyOf([law].into());
    let checker = lane
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
    let noted = || Lane::new(2, 1, 0).with_credit_note();
    breaks_of(noted(), M::CreditNoteBeforeSale, SALE_FIRST);
    breaks_of(noted(), M::DiscardWithoutCreditNote, WITH_SALE);
    breaks_of(noted(), M::AdoptWithoutCreditNote, WITH_SALE);
    breaks_of(noted(), M::ReplayWithoutCreditNote, WITH_SALE);
    breaks_of(noted(), M::WithdrawPendingOnly, NOT_WITHDRAWN);
}
