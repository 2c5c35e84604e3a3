//! KRA and the network to it: what they may do, at the worst.

use super::{Action, Answer, Lane, Phase, Standing, State};

impl Lane {
    pub(super) fn world_actions(&self, state: &State, calm: bool, actions: &mut Vec<Action>) {
        for i in 0..self.sales {
            let invoice = &state.invoices[usize::from(i)];
            // The next sale may never come, so calm does not count on it.
            let before = invoice
                .note
                .map_or(i.checked_sub(1), |note| Some(note.sale));
            let in_order = before.is_none_or(|before| {
                state.invoices[usize::from(before)].standing != Standing::NotYet
            });
            if !calm && invoice.standing == Standing::NotYet && in_order {
                actions.push(if invoice.note.is_some() {
                    Action::Credit(i)
                } else {
                    Action::Owe(i)
                });
            }
            if !calm && invoice.can_be_withdrawn() {
                actions.push(Action::Withdraw(i));
            }
            for no in state.late[usize::from(i)].iter() {
                actions.extend([Action::ArriveLate(i, no), Action::Drop(i, no)]);
                if !calm {
                    actions.push(Action::ArriveTwice(i, no));
                }
            }
            if let Some(look_up) = invoice.look_up
                && !look_up.due
                && (!look_up.last || !state.under_way(i) && state.all_shown())
            {
                actions.push(Action::Pass(i));
            }
        }
        for no in 1..=state.kra.len() as u8 {
            if !state.shown.has(no) {
                actions.push(Action::Show(no));
            }
        }
    }

    /// False when the action is none of the world's.
    pub(super) fn world(&self, state: &mut State, action: Action) -> bool {
        match action {
            Action::Owe(i) => {
                state.invoice(i).standing = Standing::Pending;
                state.line.push(i);
            }
            Action::ArriveLate(i, no) => {
                let late = &mut state.late[usize::from(i)];
                *late = late.without(no);
                state.arrive(i, no);
            }
            Action::ArriveTwice(i, no) => {
                state.arrive(i, no);
            }
            Action::Drop(i, no) => {
                let late = &mut state.late[usize::from(i)];
                *late = late.without(no);
            }
            Action::Show(no) => state.shown = state.shown.with(no),
            Action::Pass(i) => {
                if let Some(look_up) = &mut state.invoice(i).look_up {
                    look_up.due = true;
                }
            }
            _ => return false,
        }
        true
    }
}

impl State {
    /// What KRA answers to a request: it takes only the number after its last, and knows a sale by nothing else.
    pub(super) fn arrive(&mut self, i: u8, no: u8) -> Answer {
        match (self.kra.len() + 1).cmp(&usize::from(no)) {
            std::cmp::Ordering::Less => Answer::Expected,
            std::cmp::Ordering::Equal => {
                self.kra.push(i);
                Answer::Ok
            }
            std::cmp::Ordering::Greater => Answer::Taken,
        }
    }

    /// Whose sale its look-ups show.
    pub(super) fn look_up(&self, no: u8) -> Option<u8> {
        self.owner(no).filter(|_| self.shown.has(no))
    }

    /// Drops what can make no difference any more, so that equal situations are equal states.
    pub(super) fn forget(&mut self) {
        let taken = self.kra.len() as u8;
        for (late, invoice) in self.late.iter_mut().zip(&mut self.invoices) {
            // A copy of a request for a number long taken is refused, whenever it comes.
            for no in late.iter().filter(|no| *no <= taken) {
                *late = late.without(no);
            }
            if matches!(invoice.standing, Standing::Success(_)) {
                invoice.open = super::Numbers::default();
                invoice.told = false;
            }
        }
        // The lease of a dead worker runs out, and is anybody's like none.
        let dead = |holder: u8| self.workers[usize::from(holder)] == Phase::Idle;
        if self.claim.is_some_and(dead) {
            self.claim = None;
        }
        // Workers differ in nothing but where they stand.
        if self.workers[0] < self.workers[1] {
            self.workers.swap(0, 1);
            self.claim = self.claim.map(|holder| 1 - holder);
        }
        if self.workers[0] == self.workers[1] {
            self.claim = self.claim.map(|_| 0);
        }
    }
}
