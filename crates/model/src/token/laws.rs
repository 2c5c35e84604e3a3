//! What must hold, and what must be seen to happen so that holding means something.

use stateright::Property;

use super::{ALWAYS, Action, Lease, Mark, Recorder, State, Task, Token, Waker};

pub const ONE_HOLDER: &str = "a lane is one worker's at most, as the database sees it";
pub const NOTHING_BLIND: &str = "a worker whose claim is gone writes nothing";
pub const BOUNDED: &str = "a lane has one token, and one more for each that came twice, lost its confirm or outlived its mark";
pub const SETTLES: &str = "once faults stop, lanes with work are worked and nothing waits";

pub(super) fn properties(token: &Token) -> Vec<Property<Token>> {
    let mut properties = vec![
        Property::always(ONE_HOLDER, |token: &Token, state: &State| {
            (0..token.lanes).all(|l| holders(token, state, l) <= 1)
        }),
        Property::always(NOTHING_BLIND, |_, state: &State| !state.blind),
        Property::always(BOUNDED, |_, state: &State| !state.surplus),
        Property::always(SETTLES, |token: &Token, state: &State| {
            token.settling.always_settles(token, state)
        }),
    ];
    if token.faults == ALWAYS {
        properties.extend(seen());
    }
    if token.faults == ALWAYS && token.payments > 1 {
        properties.push(overlooked());
    }
    properties
}

/// What must be seen to happen, or the laws would hold of nothing.
fn seen() -> Vec<Property<Token>> {
    vec![
        Property::sometimes("a lane has two tokens", |_: &Token, state: &State| {
            state.lanes.iter().any(|lane| lane.queued == 2)
        }),
        Property::sometimes(
            "a marked lane has work, no token and no worker",
            |_, state: &State| {
                (0_u8..).zip(&state.lanes).any(|(l, lane)| {
                    lane.work > 0
                        && lane.mark != Mark::Empty
                        && lane.lease == Lease::Nobodys
                        && state.unspent(l) == 0
                })
            },
        ),
        Property::sometimes(
            "a worker is about to write whose lane is another's",
            |_, state: &State| {
                (0_u8..).zip(&state.tasks).any(|(w, task)| match *task {
                    Task::Filing(l, _) => state.lanes[usize::from(l)]
                        .lease
                        .holder()
                        .is_some_and(|holder| holder != w),
                    _ => false,
                })
            },
        ),
        Property::sometimes(
            "a wake loop is about to mark a lane that was leased meanwhile",
            |_, state: &State| {
                state.wakers.iter().any(|waker| match waker {
                    Waker::Marking(set, _) => set
                        .iter()
                        .zip(&state.lanes)
                        .any(|(due, lane)| *due && matches!(lane.lease, Lease::Held(_))),
                    _ => false,
                })
            },
        ),
    ]
}

/// Then no token is published, though nothing went wrong.
fn overlooked() -> Property<Token> {
    Property::sometimes(
        "a release overlooks a sale whose worker takes the lane for leased",
        |_: &Token, state: &State| {
            (0_u8..).zip(&state.lanes).any(|(l, lane)| {
                let overlooks = |task: &Task| *task == Task::Releasing(l, false);
                lane.work > 0
                    && matches!(lane.lease, Lease::Held(_))
                    && lane.mark == Mark::Empty
                    && state.tasks.iter().any(overlooks)
                    && state.recorders.contains(&Recorder::Done(l))
            })
        },
    )
}

fn holders(token: &Token, state: &State, l: u8) -> usize {
    let holds = |(w, task): &(u8, &Task)| task.works() == Some(l) && token.holds(state, *w, l);
    (0_u8..).zip(&state.tasks).filter(holds).count()
}

/// The lane has more tokens than its mark stands for, more than before, and no fault brought one.
pub(super) fn surplus(before: &State, action: Action, after: &State, l: u8) -> bool {
    let lapsed = |empty| match before.lanes[usize::from(l)].mark {
        Mark::Minutes => true,
        Mark::Seconds => empty,
        _ => false,
    };
    let allowed = match action {
        Action::PublishUnconfirmed(_)
        | Action::PassOnUnconfirmed(_)
        | Action::WakeUnconfirmed(..)
        | Action::AckLost(_)
        | Action::Crash(_) => 1,
        // A person's halt forgets a mark whose token may be there yet.
        Action::HaltByHand(_) | Action::Resume(_) => 1,
        Action::Mark(_) => u8::from(lapsed(false)),
        Action::WakeMark(v) => match before.wakers[usize::from(v)] {
            Waker::Marking(_, empty) => u8::from(lapsed(empty)),
            _ => 0,
        },
        _ => 0,
    };
    after.excess(l) > before.excess(l) + allowed
}

/// All is filed but on lanes that a person has halted, and nobody has anything to do.
pub(super) fn settled(state: &State) -> bool {
    let still = state.recorders.iter().all(|at| *at == Recorder::Idle)
        && state.tasks.iter().all(|at| *at == Task::Idle)
        && state.wakers.iter().all(|at| *at == Waker::Idle);
    let done = state.lanes.iter().all(|lane| {
        let nothing = lane.queued + lane.owed + lane.told == 0 && lane.lease == Lease::Nobodys;
        nothing && (lane.work == 0 || lane.halted)
    });
    still && done
}
