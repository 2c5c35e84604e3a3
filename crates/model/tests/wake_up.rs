//! Wake-ups and leases in every reachable state, and what each broken variant does wrong.
#![expect(clippy::print_stdout, reason = "the README's figures come from here")]

mod broken;

use std::time::Instant;

use risiti_model::wake_up::laws::{BOUNDED, CLAIM_CHECKED, ONE_HOLDER, SETTLES};
use risiti_model::wake_up::{ALWAYS, Mutation, WakeUpModel};
use stateright::{Checker, HasDiscoveries, Model as _};

use broken::assert_breaks;

fn assert_laws_hold(model: WakeUpModel) {
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

fn size(model: &WakeUpModel) -> String {
    let WakeUpModel {
        lanes,
        sales,
        ledger_workers,
        tasks,
        wake_loops,
        faults,
        ..
    } = model;
    format!(
        "{lanes} lanes, {sales} sales each, {ledger_workers} ledger workers, {tasks} wake-ups in hand, \
         {wake_loops} wake loops, {faults} faults"
    )
}

#[test]
fn laws_hold_for_one_lane_with_any_faults() {
    assert_laws_hold(WakeUpModel::new(1, 2, ALWAYS).with_programs(1, 2, 1));
}

#[test]
fn laws_hold_for_one_lane_with_two_wake_loops() {
    assert_laws_hold(WakeUpModel::new(1, 1, ALWAYS).with_programs(1, 2, 2));
}

#[test]
fn laws_hold_for_two_lanes_with_two_faults() {
    assert_laws_hold(WakeUpModel::new(2, 1, 2).with_programs(1, 2, 1));
}

#[test]
fn laws_hold_for_two_lanes_with_overlapping_statements() {
    assert_laws_hold(WakeUpModel::new(2, 1, 0));
}

#[test]
fn wake_ups_suffice_without_a_wake_loop_or_faults() {
    assert_laws_hold(
        WakeUpModel::new(2, 2, 0)
            .with_programs(2, 2, 0)
            .sequential(),
    );
}

#[test]
fn every_mutation_breaks_its_law() {
    use Mutation as M;

    for mutation in [
        M::WakeUpBeforeCommit,
        M::ClaimKeepsMark,
        M::ReleaseWithoutWakeUp,
        M::ReleaseInTwoStatements,
    ] {
        let without_wake_loop = WakeUpModel::new(1, 2, 0)
            .with_programs(2, 2, 0)
            .sequential()
            .broken_by(mutation);
        assert_breaks(without_wake_loop, mutation, SETTLES);
    }

    // No fault is needed here. A release does not see a sale yet, whose worker still sees the
    // lease.
    let faultless = WakeUpModel::new(1, 2, 0).broken_by(M::NoWakeLoop);
    assert_breaks(faultless, M::NoWakeLoop, SETTLES);

    for (mutation, law) in [
        (M::MarksNeverLapse, SETTLES),
        (M::LeasesNeverExpire, SETTLES),
        (M::WakeUpRequeuedWhenLeased, SETTLES),
        (M::WakeLoopIgnoresMarks, BOUNDED),
        (M::LedgerWorkerIgnoresMarks, BOUNDED),
        (M::WriteWithoutClaim, CLAIM_CHECKED),
        (M::OldClaimAccepted, ONE_HOLDER),
    ] {
        let with_faults = WakeUpModel::new(1, 2, ALWAYS)
            .with_programs(1, 2, 1)
            .broken_by(mutation);
        assert_breaks(with_faults, mutation, law);
    }
}
