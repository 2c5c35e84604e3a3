//! What must hold in every state.

use stateright::Property;

use super::{
    Action, EtimsTask, Lease, LedgerWorker, Mark, WakeLoop, WakeUpModel, WakeUpState, reached,
};

pub const ONE_HOLDER: &str = "a lane has one worker at most, as the database sees it";
pub const CLAIM_CHECKED: &str = "a worker whose claim is gone writes nothing";
pub const BOUNDED: &str = "a lane has one wake-up, and one more for each that came twice, lost \
                           its confirm or outlived its mark";
pub const SETTLES: &str = "once faults stop, lanes with work are worked and nothing waits";

pub(super) fn properties(model: &WakeUpModel) -> Vec<Property<WakeUpModel>> {
    let mut properties = vec![
        Property::always(ONE_HOLDER, |model: &WakeUpModel, state: &WakeUpState| {
            (0..model.lanes).all(|l| holders(model, state, l) <= 1)
        }),
        Property::always(CLAIM_CHECKED, |_, state: &WakeUpState| {
            !state.wrote_without_claim
        }),
        Property::always(BOUNDED, |_, state: &WakeUpState| !state.has_surplus),
        Property::always(SETTLES, |model: &WakeUpModel, state: &WakeUpState| {
            model.settling.always_settles(model, state)
        }),
    ];
    properties.extend(reached::properties(model));
    properties
}

fn holders(model: &WakeUpModel, state: &WakeUpState, l: u8) -> usize {
    let holds = |(w, task): &(u8, &EtimsTask)| {
        task.worked_lane() == Some(l) && model.holds_claim(state, *w, l)
    };
    (0_u8..).zip(&state.tasks).filter(holds).count()
}

/// Whether a step left the lane with more wake-ups than its mark stands for, more than before, and
/// the step is not one that may bring another.
pub(super) fn brings_surplus(
    before: &WakeUpState,
    action: Action,
    after: &WakeUpState,
    l: u8,
) -> bool {
    let has_lapsed = |queue_was_empty| match before.lane(l).mark {
        Mark::Minutes => true,
        Mark::Seconds => queue_was_empty,
        _ => false,
    };
    let allowed = match action {
        Action::PublishUnconfirmed(_)
        | Action::PublishRestUnconfirmed(_)
        | Action::WakePublishUnconfirmed(..)
        | Action::AckWakeUpLost(_)
        | Action::CrashTask(_) => 1,
        // A person's halt clears a mark whose wake-up may still be there.
        Action::HaltByHand(_) | Action::Resume(_) => 1,
        Action::MarkLane(_) => u8::from(has_lapsed(false)),
        Action::WakeMark(v) => match before.wake_loops[usize::from(v)] {
            WakeLoop::Marking(_, queue_was_empty) => u8::from(has_lapsed(queue_was_empty)),
            _ => 0,
        },
        _ => 0,
    };
    after.excess(l) > before.excess(l) + allowed
}

/// Whether all is filed except on lanes that a person has halted, and nobody has anything to do.
pub(super) fn is_settled(state: &WakeUpState) -> bool {
    let idle = state.ledger_workers == [LedgerWorker::Idle; super::MAX]
        && state.tasks == [EtimsTask::Idle; super::MAX]
        && state.wake_loops == [WakeLoop::Idle; super::MAX];
    let done = state.lanes.iter().all(|lane| {
        let messages = lane.queued + lane.new_payments + lane.repeated_payments;
        messages == 0 && lane.lease == Lease::Free && (lane.work == 0 || lane.halted)
    });
    idle && done
}
