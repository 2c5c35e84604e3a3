//! What happens to a credit note when something happens to its sale or its money (protocol C9).

use super::{Action, Invoice, InvoiceState, LaneModel, LaneModelState, Mutation};

impl LaneModel {
    pub(super) fn reversal_step(&self, state: &mut LaneModelState, action: Action) {
        match action {
            Action::Credit(i) => state.credit(i),
            Action::Withdraw(i) => self.withdraw(state, i),
            _ => {}
        }
    }

    /// Discards a credit note that was not sent. One that was discarded with its sale stays
    /// discarded when the sale comes back.
    fn withdraw(&self, state: &mut LaneModelState, i: u8) {
        let comes_back = self.is_broken_by(Mutation::WithdrawnCreditNoteComesBack);
        let invoice = state.invoice_mut(i);
        let pending = invoice.state == InvoiceState::Pending;
        if let Some(credit_note) = &mut invoice.credit_note {
            credit_note.withdrawn = true;
            credit_note.discarded_with_sale &= !pending && comes_back;
        }
        invoice.state = InvoiceState::Discarded;
        state.remove_unfiled(i);
    }

    pub(super) fn discard_credit_note_of(&self, state: &mut LaneModelState, sale: u8) {
        if self.is_broken_by(Mutation::DiscardWithoutCreditNote) {
            return;
        }
        if let Some(id) = state.credit_note_of(sale)
            && state.invoice(id).state == InvoiceState::Pending
        {
            state.invoice_mut(id).discard_with_sale();
            state.remove_unfiled(id);
        }
    }
}

impl Invoice {
    pub(super) fn can_be_withdrawn(&self) -> bool {
        let unsent = self
            .credit_note
            .is_some_and(|credit_note| !credit_note.sent && !credit_note.withdrawn);
        unsent && matches!(self.state, InvoiceState::Pending | InvoiceState::Discarded)
    }

    /// Whether a discarded invoice was discarded by a person, and not by what its sale or its money
    /// did.
    pub(super) fn is_discarded_by_person(&self) -> bool {
        self.credit_note
            .is_none_or(|credit_note| !credit_note.discarded_with_sale && !credit_note.withdrawn)
    }

    fn discard_with_sale(&mut self) {
        self.state = InvoiceState::Discarded;
        if let Some(credit_note) = &mut self.credit_note {
            credit_note.discarded_with_sale = true;
        }
    }
}

impl LaneModelState {
    fn credit(&mut self, i: u8) {
        let sale = self.invoice(i).credit_note.unwrap_or_default().sale;
        if self.invoice(sale).state == InvoiceState::Discarded {
            self.invoice_mut(i).discard_with_sale();
        } else {
            self.invoice_mut(i).state = InvoiceState::Pending;
            self.unfiled.push(i);
        }
    }

    /// Takes up again a credit note that was discarded with its sale.
    pub(super) fn restore_credit_note_of(&mut self, sale: u8) {
        let Some(id) = self.credit_note_of(sale) else {
            return;
        };
        let invoice = self.invoice_mut(id);
        let Some(credit_note) = &mut invoice.credit_note else {
            return;
        };
        if credit_note.discarded_with_sale {
            credit_note.discarded_with_sale = false;
            invoice.state = InvoiceState::Pending;
            self.unfiled.push(id);
        }
    }
}
