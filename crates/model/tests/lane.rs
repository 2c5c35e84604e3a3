//! The lane protocol in every reachable state, and what each broken variant of it does wrong.
#![expect(clippy::print_stdout, reason = "the README's figures come from here")]

mod broken;

use std::time::Instant;

use risiti_model::lane::laws::{
    DEAD_HAS_MESSAGE, DISCARDED_WITH_SALE, NO_HALT, NOT_WITHDRAWN, SALE_FIRST, SAME_RECEIPTS,
    SETTLES,
};
use risiti_model::lane::{LaneModel, Mutation};
use stateright::{Checker, HasDiscoveries, Model as _};

use broken::assert_breaks;

/// Any number of takeovers.
const ALWAYS: u8 = u8::MAX;

fn assert_laws_hold(model: LaneModel) {
    let size = size(&model);
    let began = Instant::now();
    let checker = model
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

fn size(model: &LaneModel) -> String {
    let LaneModel {
        invoices,
        workers,
        takeovers,
        has_credit_note,
        restores,
        ..
    } = model;
    let credit_note = if *has_credit_note {
        ", the last a credit note"
    } else {
        ""
    };
    let restore = if *restores > 0 {
        ", a database restored to an earlier point"
    } else {
        ""
    };
    format!("{invoices} invoices{credit_note}, {workers} workers, {takeovers} thaws{restore}")
}

#[test]
fn laws_hold_for_two_sales_and_a_worker_that_dies() {
    assert_laws_hold(LaneModel::new(2, 1, 0));
}

#[test]
fn laws_hold_for_a_database_restored_to_an_earlier_point() {
    assert_laws_hold(LaneModel::new(2, 1, 0).with_restore());
}

#[test]
fn laws_hold_for_one_sale_and_workers_that_thaw() {
    assert_laws_hold(LaneModel::new(1, 2, ALWAYS));
}

#[test]
fn laws_hold_for_a_credit_note_and_workers_that_thaw() {
    assert_laws_hold(LaneModel::new(2, 2, 1).with_credit_note());
}

#[test]
fn laws_hold_for_a_credit_note_behind_two_sales() {
    assert_laws_hold(LaneModel::new(3, 1, 0).with_credit_note());
}

#[test]
#[ignore = "some minutes and gigabytes; the README has the command"]
fn laws_hold_for_two_sales_and_workers_that_thaw() {
    assert_laws_hold(LaneModel::new(2, 2, 1));
}

#[test]
fn every_mutation_breaks_its_law() {
    use Mutation as M;

    for (mutation, sales, workers, law) in [
        (M::NewNumberAfterUnknown, 1, 1, SAME_RECEIPTS),
        (M::ResendWithoutLookUp, 1, 1, SETTLES),
        (M::RefusalForgetsOpenSends, 1, 1, SETTLES),
        (M::NoLateLookUps, 1, 1, SETTLES),
        (M::NoLateLookUpsOfDiscarded, 1, 1, SETTLES),
        (M::DiscardWithoutLookUp, 1, 1, SETTLES),
        (M::OutcomeWithoutClaim, 1, 2, SETTLES),
        (M::ClaimsNotExclusive, 2, 2, SETTLES),
        (M::FoundSaleTakenAsOwn, 2, 1, SAME_RECEIPTS),
        (M::OthersSaleTakenAsAbsent, 2, 1, SETTLES),
        (M::DeadInvoiceSkipsNumber, 1, 1, SAME_RECEIPTS),
        (M::RowBeforeMessage, 1, 1, DEAD_HAS_MESSAGE),
        (M::ResendHiddenNumber, 1, 1, SETTLES),
    ] {
        let model = LaneModel::new(sales, workers, 1).broken_by(mutation);
        assert_breaks(model, mutation, law);
    }

    assert_breaks(
        LaneModel::new(2, 1, 0)
            .with_restore()
            .broken_by(M::HaltOnNumberFarBehind),
        M::HaltOnNumberFarBehind,
        NO_HALT,
    );

    for (mutation, law) in [
        (M::CreditNoteBeforeSale, SALE_FIRST),
        (M::DiscardWithoutCreditNote, DISCARDED_WITH_SALE),
        (M::AdoptWithoutCreditNote, DISCARDED_WITH_SALE),
        (M::ReplayWithoutCreditNote, DISCARDED_WITH_SALE),
        (M::WithdrawnCreditNoteComesBack, NOT_WITHDRAWN),
    ] {
        let model = LaneModel::new(2, 1, 0)
            .with_credit_note()
            .broken_by(mutation);
        assert_breaks(model, mutation, law);
    }
}
