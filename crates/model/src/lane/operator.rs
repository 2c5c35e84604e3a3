//! What people do from the outside, at any moment.

use super::{Action, InvoiceState, LaneModel, LaneModelState, LateLookUp, Mutation};

impl LaneModel {
    pub(super) fn operator_actions(&self, state: &LaneModelState, actions: &mut Vec<Action>) {
        for i in 0..self.invoices {
            let invoice = state.invoice(i);
            match invoice.state {
                InvoiceState::Dead => actions.extend([Action::Replay(i), Action::Discard(i)]),
                // Whoever restored a database lets its lanes catch up before giving anything up.
                _ if invoice.forgotten => {}
                InvoiceState::Pending if state.is_eligible(i) => actions.push(Action::SetAside(i)),
                // A command holds the lane only when nobody does, or the lease of whoever does has
                // run out.
                InvoiceState::Submitting(_) if state.claim.is_none() || state.takeovers > 0 => {
                    actions.push(Action::SetAside(i));
                }
                InvoiceState::Discarded if invoice.is_discarded_by_person() => {
                    actions.push(Action::Replay(i));
                }
                _ => {}
            }
        }
    }

    pub(super) fn operator_step(&self, state: &mut LaneModelState, action: Action) {
        match action {
            Action::Replay(i) => self.replay(state, i),
            Action::Discard(i) => self.discard(state, i),
            Action::SetAside(i) => self.set_aside(state, i),
            _ => {}
        }
    }

    fn replay(&self, state: &mut LaneModelState, i: u8) {
        let invoice = state.invoice_mut(i);
        invoice.state = InvoiceState::Pending;
        invoice.discard_wish = false;
        invoice.has_message = false;
        state.unfiled.push(i);
        if !self.is_broken_by(Mutation::ReplayWithoutCreditNote) {
            state.restore_credit_note_of(i);
        }
    }

    fn set_aside(&self, state: &mut LaneModelState, i: u8) {
        if state.invoice(i).is_submitting() {
            state.take_claim_away();
        }
        state.invoice_mut(i).has_message = true;
        self.write_death(state, i);
    }

    /// Discards a dead invoice, or has the lane look it up first if KRA may have it.
    fn discard(&self, state: &mut LaneModelState, i: u8) {
        let open_send = state.open_sends(i).last();
        let invoice = state.invoice_mut(i);
        // The look-up at 24 hours still comes, unless it is due already.
        let planned = invoice
            .late_look_up
            .map(|look_up| (look_up.number, look_up.last && look_up.due));
        let look_up = planned.or(open_send.map(|number| (number, true)));

        match look_up {
            Some((number, last)) if !self.is_broken_by(Mutation::DiscardWithoutLookUp) => {
                invoice.discard_wish = true;
                invoice.late_look_up = Some(LateLookUp {
                    number,
                    due: true,
                    last,
                });
            }
            _ => {
                invoice.state = InvoiceState::Discarded;
                invoice.late_look_up = None;
                self.discard_credit_note_of(state, i);
            }
        }
    }
}
