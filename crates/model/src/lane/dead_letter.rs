//! How an invoice becomes a dead letter (protocol E1), and the late look-ups that follow (D10).

use super::adoption::Adoption;
use super::{
    InvoiceState, LaneModel, LaneModelState, LateLookUp, LateLookUpPlan, Mutation, Phase, Plan,
};

impl LaneModel {
    pub(super) fn publish_dead_letter(
        &self,
        state: &mut LaneModelState,
        w: u8,
        plan: Plan,
    ) -> Phase {
        if self.is_broken_by(Mutation::RowBeforeMessage) {
            self.write_dead_row(state, w, plan);
        } else {
            state.invoice_mut(plan.invoice).has_message = true;
        }
        Phase::DeadLetterPublished(plan)
    }

    pub(super) fn write_dead_letter(&self, state: &mut LaneModelState, w: u8, plan: Plan) -> Phase {
        if self.is_broken_by(Mutation::RowBeforeMessage) {
            state.invoice_mut(plan.invoice).has_message = true;
            return Phase::Holding;
        }
        self.write_dead_row(state, w, plan)
    }

    fn write_dead_row(&self, state: &mut LaneModelState, w: u8, plan: Plan) -> Phase {
        if !self.may_write(state, w) {
            return Phase::Idle;
        }
        if !state.invoice(plan.invoice).is_submitting() {
            return Phase::Holding;
        }

        self.write_death(state, plan.invoice);
        if self.is_broken_by(Mutation::DeadInvoiceSkipsNumber) {
            state.next_number += 1;
        }
        Phase::Holding
    }

    /// Writes the row of a dead invoice, with the late look-ups that its open sends need.
    pub(super) fn write_death(&self, state: &mut LaneModelState, id: u8) {
        let look_up = state.open_sends(id).last().map(|number| LateLookUp {
            number,
            due: false,
            last: false,
        });
        let invoice = state.invoice_mut(id);
        invoice.state = InvoiceState::Dead;
        invoice.clear_send_facts();
        invoice.late_look_up = look_up.filter(|_| !self.is_broken_by(Mutation::NoLateLookUps));
        state.remove_unfiled(id);
    }

    pub(super) fn write_late_look_up(
        &self,
        state: &mut LaneModelState,
        w: u8,
        plan: LateLookUpPlan,
        found: Option<u8>,
    ) -> Phase {
        if !self.may_write(state, w) {
            return Phase::Idle;
        }
        let found_own = found == Some(plan.invoice);
        if found_own && self.adopt(state, plan.invoice, plan.number) == Adoption::Adopted {
            return Phase::Holding;
        }
        // A sale that cannot be adopted halts the lane, and the late look-up counts as done.
        state.halted |= found_own;

        let no_more_look_ups = self.is_broken_by(Mutation::NoLateLookUpsOfDiscarded);
        let invoice = state.invoice_mut(plan.invoice);
        let waits = matches!(invoice.state, InvoiceState::Dead | InvoiceState::Pending);
        let discards = plan.discard && waits && invoice.discard_wish;
        if discards && no_more_look_ups {
            invoice.late_look_up = None;
        } else if let Some(look_up) = invoice.late_look_up
            && look_up.number == plan.number
        {
            invoice.late_look_up = (!look_up.last).then_some(LateLookUp {
                due: false,
                last: true,
                ..look_up
            });
        }

        if discards {
            invoice.state = InvoiceState::Discarded;
            invoice.discard_wish = false;
            state.remove_unfiled(plan.invoice);
            self.discard_credit_note_of(state, plan.invoice);
        }
        Phase::Holding
    }
}
