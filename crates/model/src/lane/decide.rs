//! What a worker decides from what it reads in the database.

use super::{InvoiceState, LaneModel, LaneModelState, LateLookUpPlan, Mutation, Phase, Plan};

impl LaneModel {
    /// Decides between a look-up, a dead letter and a send of the next invoice.
    pub(super) fn decide(&self, state: &LaneModelState, w: u8) -> Phase {
        if !self.holds_claim(state, w) {
            return Phase::Idle;
        }
        let (false, Some(id)) = (state.halted, state.next_invoice()) else {
            return Phase::Holding;
        };

        let invoice = state.invoice(id);
        let (number, holds_number) = match invoice.state {
            InvoiceState::Submitting(number) => (number, true),
            _ => (state.next_number, false),
        };
        let plan = Plan {
            invoice: id,
            number,
            holds_number,
            ever_unknown: state.open_sends(id).has(number),
            hidden: invoice.hidden,
            refused: invoice.refused,
        };

        // An invoice that is given a number looks first for another one's sale under it.
        let open = if holds_number {
            invoice.unknown
        } else {
            (0..self.invoices).any(|other| other != id && state.open_sends(other).has(number))
        };
        let resends = holds_number && self.is_broken_by(Mutation::ResendWithoutLookUp);
        if open && !resends {
            Phase::LookingUp(plan)
        } else if holds_number && !open && invoice.refused {
            self.dead_letter(plan)
        } else {
            Phase::Sending(plan.to_send())
        }
    }

    pub(super) fn decide_late(&self, state: &LaneModelState, w: u8, id: u8) -> Phase {
        if !self.holds_claim(state, w) {
            return Phase::Idle;
        }
        let invoice = state.invoice(id);
        match invoice.late_look_up {
            Some(look_up) if !state.halted => Phase::LookingUpLate(LateLookUpPlan {
                invoice: id,
                number: look_up.number,
                discard: invoice.discard_wish,
            }),
            _ => Phase::Holding,
        }
    }

    pub(super) fn dead_letter(&self, plan: Plan) -> Phase {
        Phase::PublishingDeadLetter(Plan {
            holds_number: true,
            ever_unknown: false,
            hidden: false,
            refused: false,
            ..plan
        })
    }
}
