//! Time, the broker, and people.

use super::{Action, Lease, Mark, Mutation, State, Token};

impl Token {
    pub(super) fn world_actions(&self, state: &State, calm: bool, actions: &mut Vec<Action>) {
        for l in 0..self.lanes {
            let row = &state.lanes[usize::from(l)];
            // While nothing goes wrong, a token is published, taken and spent before its mark is old.
            let on_its_way = state.unspent(l) > 0 || row.lease != Lease::Nobodys;
            if matches!(row.mark, Mark::Fresh | Mark::Seconds) && !(calm && on_its_way) {
                actions.push(Action::Age(l));
            }
            match row.lease {
                Lease::Left if !self.is(Mutation::LeasesNeverExpire) => {
                    actions.push(Action::Expire(l))
                }
                Lease::Held(_) if !calm => actions.push(Action::Expire(l)),
                _ => {}
            }
            if row.waits {
                actions.push(Action::Due(l));
            }
            if !calm {
                if row.queued > 0 {
                    actions.push(Action::Lose(l));
                }
                actions.push(if row.halted {
                    Action::Resume(l)
                } else {
                    Action::HaltByHand(l)
                });
            }
        }
    }

    pub(super) fn world(&self, state: &mut State, action: Action) {
        match action {
            Action::Lose(l) => state.lane(l).queued -= 1,
            Action::Age(l) => {
                let row = state.lane(l);
                row.mark = if row.mark == Mark::Fresh {
                    Mark::Seconds
                } else {
                    Mark::Minutes
                };
            }
            Action::Expire(l) => {
                let row = state.lane(l);
                row.lease = row.lease.holder().map_or(Lease::Nobodys, Lease::RunOut);
            }
            Action::Due(l) => state.lane(l).waits = false,
            Action::HaltByHand(l) => {
                (state.lane(l).halted, state.lane(l).mark) = (true, Mark::Empty)
            }
            Action::Resume(l) => {
                let row = state.lane(l);
                (row.halted, row.waits, row.mark) = (false, false, Mark::Empty);
            }
            _ => {}
        }
    }
}
