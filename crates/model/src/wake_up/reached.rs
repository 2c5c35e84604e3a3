//! What must be seen to happen. If it never did, the laws would hold of nothing.

use stateright::Property;

use super::{ALWAYS, EtimsTask, Lease, LedgerWorker, Mark, WakeLoop, WakeUpModel, WakeUpState};

pub(super) fn properties(model: &WakeUpModel) -> Vec<Property<WakeUpModel>> {
    let mut properties = Vec::new();
    if model.faults == ALWAYS {
        properties.extend(with_faults());
    }
    if model.faults == ALWAYS && model.sales > 1 {
        properties.push(overlooked_sale());
    }
    properties
}

fn with_faults() -> Vec<Property<WakeUpModel>> {
    vec![
        Property::sometimes(
            "a lane has two wake-ups",
            |_: &WakeUpModel, state: &WakeUpState| state.lanes.iter().any(|lane| lane.queued == 2),
        ),
        Property::sometimes(
            "a marked lane has work, no wake-up and no worker",
            |_, state: &WakeUpState| {
                (0_u8..).zip(&state.lanes).any(|(l, lane)| {
                    lane.work > 0
                        && lane.mark != Mark::Empty
                        && lane.lease == Lease::Free
                        && state.unspent(l) == 0
                })
            },
        ),
        Property::sometimes(
            "a worker is about to write after its lane was taken",
            |_, state: &WakeUpState| {
                (0_u8..).zip(&state.tasks).any(|(w, task)| match *task {
                    EtimsTask::Filing(l, _) => {
                        let holder = state.lane(l).lease.holder();
                        holder.is_some_and(|holder| holder != w)
                    }
                    _ => false,
                })
            },
        ),
        Property::sometimes(
            "a wake loop is about to mark a lane that was leased meanwhile",
            |_, state: &WakeUpState| {
                state.wake_loops.iter().any(|wake_loop| match wake_loop {
                    WakeLoop::Marking(due, _) => due
                        .iter()
                        .zip(&state.lanes)
                        .any(|(due, lane)| *due && matches!(lane.lease, Lease::Held(_))),
                    _ => false,
                })
            },
        ),
    ]
}

/// Here no wake-up is published although nothing went wrong.
fn overlooked_sale() -> Property<WakeUpModel> {
    Property::sometimes(
        "a release overlooks a sale whose worker sees the lane leased",
        |_: &WakeUpModel, state: &WakeUpState| {
            (0_u8..).zip(&state.lanes).any(|(l, lane)| {
                lane.work > 0
                    && matches!(lane.lease, Lease::Held(_))
                    && lane.mark == Mark::Empty
                    && state.tasks.contains(&EtimsTask::Releasing(l, false))
                    && state.ledger_workers.contains(&LedgerWorker::Done(l))
            })
        },
    )
}
