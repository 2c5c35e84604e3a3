//! What follows for a credit note from what becomes of its sale, and of its money (protocol C9).

use super::{Action, Invoice, Lane, Mutation, Standing, State};

impl Lane {
    /// False when the action is none of a credit note's.
    pub(super) fn credit_note(&self, state: &mut State, action: Action) -> bool {
        match action {
            Action::Credit(i) => state.credit(i),
            Action::Withdraw(i) => self.withdraw(state, i),
            _ => return false,
        }
        true
    }

    /// Unless it was sent. One that went with its sale stays gone when the sale comes back.
    fn withdraw(&self, state: &mut State, i: u8) {
        let pending = state.invoices[usize::from(i)].standing == Standing::Pending;
        if let Some(note) = &mut state.invoice(i).note {
            note.withdrawn = true;
            note.with_sale &= !pending && self.is(Mutation::WithdrawPendingOnly);
        }
        state.invoice(i).standing = Standing::Discarded;
        state.line.retain(|id| *id != i);
    }

    pub(super) fn discard_credit_note(&self, state: &mut State, sale: u8) {
        if self.is(Mutation::DiscardWithoutCreditNote) {
            return;
        }
        let Some(invoice) = state
            .note_of(sale)
            .filter(|invoice| invoice.standing == Standing::Pending)
        else {
            return;
        };
        invoice.goes_with_sale();
        state
            .line
            .retain(|id| state.invoices[usize::from(*id)].standing != Standing::Discarded);
    }
}

impl Invoice {
    pub(super) fn can_be_withdrawn(&self) -> bool {
        let unsent = self.note.is_some_and(|note| !note.sent && !note.withdrawn);
        unsent && matches!(self.standing, Standing::Pending | Standing::Discarded)
    }

    /// Discarded by a person, from the pile.
    pub(super) fn gone_by_itself(&self) -> bool {
        self.note
            .is_none_or(|note| !note.with_sale && !note.withdrawn)
    }

    fn goes_with_sale(&mut self) {
        self.standing = Standing::Discarded;
        if let Some(note) = &mut self.note {
            note.with_sale = true;
        }
    }
}

impl State {
    fn credit(&mut self, i: u8) {
        let sale = self.invoices[usize::from(i)].note.unwrap_or_default().sale;
        if self.invoices[usize::from(sale)].standing == Standing::Discarded {
            self.invoice(i).goes_with_sale();
        } else {
            self.invoice(i).standing = Standing::Pending;
            self.line.push(i);
        }
    }

    pub(super) fn credit_note_back(&mut self, sale: u8) {
        let gone = |invoice: &&mut Invoice| invoice.note.is_some_and(|note| note.with_sale);
        let Some(invoice) = self.note_of(sale).filter(gone) else {
            return;
        };
        invoice.standing = Standing::Pending;
        if let Some(note) = &mut invoice.note {
            note.with_sale = false;
        }
        let back = (0_u8..)
            .zip(&self.invoices)
            .find(|(_, invoice)| invoice.note.is_some_and(|note| note.sale == sale));
        if let Some((id, _)) = back {
            self.line.push(id);
        }
    }
}
