//! How an invoice gets a receipt, its own answer's or that of a sale found at KRA (protocol D8).

use super::{InvoiceState, LaneModel, LaneModelState, Mutation};

/// What came of a sale found at KRA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Adoption {
    Adopted,
    /// The database contradicts KRA, and a person has to look.
    Contradiction,
}

impl LaneModel {
    pub(super) fn adopt(&self, state: &mut LaneModelState, owner: u8, number: u8) -> Adoption {
        let adoption = state.adopt(owner, number);
        let without_credit_note = self.is_broken_by(Mutation::AdoptWithoutCreditNote);
        if adoption == Adoption::Adopted && !without_credit_note {
            state.restore_credit_note_of(owner);
        }
        adoption
    }
}

impl LaneModelState {
    pub(super) fn store_receipt(&mut self, id: u8, number: u8) {
        let invoice = self.invoice_mut(id);
        invoice.state = InvoiceState::Success(number);
        invoice.clear_send_facts();
        invoice.discard_wish = false;
        invoice.forgotten = false;
        invoice.late_look_up = None;
        self.remove_unfiled(id);
        if self.next_number == number {
            self.next_number += 1;
        }
    }

    /// Gives the receipt to the invoice that owns the sale, and takes the number from another one
    /// that holds it.
    fn adopt(&mut self, owner: u8, number: u8) -> Adoption {
        if self.invoice(owner).is_filed() {
            return Adoption::Contradiction;
        }
        if let Some(holder) = self.other_holder(owner, number) {
            let holder = self.invoice_mut(holder);
            if holder.is_filed() {
                return Adoption::Contradiction;
            }
            holder.state = InvoiceState::Pending;
            holder.clear_send_facts();
        }
        self.store_receipt(owner, number);
        Adoption::Adopted
    }

    /// An invoice other than `owner` that is filed under the number or holds it.
    fn other_holder(&self, owner: u8, number: u8) -> Option<u8> {
        let holds = |state| match state {
            InvoiceState::Submitting(held) | InvoiceState::Success(held) => held == number,
            _ => false,
        };
        (0_u8..)
            .zip(&self.invoices)
            .find(|(id, invoice)| *id != owner && holds(invoice.state))
            .map(|(id, _)| id)
    }
}
