//! What people do from the outside, at any moment.

use super::{Action, Lane, LookUp, Mutation, Standing, State};

impl Lane {
    pub(super) fn operator_actions(&self, state: &State, actions: &mut Vec<Action>) {
        for i in 0..self.sales {
            match state.invoices[usize::from(i)].standing {
                Standing::Dead => actions.extend([Action::Replay(i), Action::Discard(i)]),
                Standing::Discarded if state.invoices[usize::from(i)].gone_by_itself() => {
                    actions.push(Action::Replay(i));
                }
                _ => {}
            }
        }
    }

    /// False when the action is none of a person's.
    pub(super) fn operator(&self, state: &mut State, action: Action) -> bool {
        match action {
            Action::Replay(i) => {
                let invoice = state.invoice(i);
                invoice.standing = Standing::Pending;
                invoice.wish = false;
                invoice.told = false;
                state.line.push(i);
                if !self.is(Mutation::ReplayWithoutCreditNote) {
                    state.credit_note_back(i);
                }
            }
            Action::Discard(i) => self.discard(state, i),
            _ => return false,
        }
        true
    }

    fn discard(&self, state: &mut State, i: u8) {
        let open = state.open(i).last();
        let invoice = state.invoice(i);
        // The look-up at 24 hours still comes, unless it is due already.
        let known = invoice
            .look_up
            .map(|look_up| (look_up.no, look_up.last && look_up.due));
        match known.or(open.map(|no| (no, true))) {
            Some((no, last)) if !self.is(Mutation::DiscardWithoutLookUp) => {
                invoice.wish = true;
                invoice.look_up = Some(LookUp {
                    no,
                    due: true,
                    last,
                });
            }
            _ => {
                invoice.standing = Standing::Discarded;
                invoice.look_up = None;
                self.discard_credit_note(state, i);
            }
        }
    }
}
