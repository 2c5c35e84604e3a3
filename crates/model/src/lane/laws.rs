//! What must hold in every state.

use stateright::Property;

use super::{CreditNote, Invoice, InvoiceState, LaneModel, LaneModelState, Phase, reached};

pub const ONE_SALE: &str = "KRA accepts a sale at most once";
pub const SAME_RECEIPTS: &str = "every receipt of ours is KRA's, and the numbers have no gap";
pub const FATE_KNOWN: &str =
    "no sale is sent under a number while its fate under another is unknown";
pub const NO_HALT: &str = "no lane needs a person";
pub const DEAD_HAS_MESSAGE: &str = "every dead invoice has its message in the dead-letter queue";
pub const SALE_FIRST: &str = "KRA has a credit note only after its sale";
pub const DISCARDED_WITH_SALE: &str =
    "a credit note is discarded with its sale, and for as long as its sale is";
pub const NOT_WITHDRAWN: &str = "no credit note is sent whose money came back";
pub const SETTLES: &str = "once faults stop, all is filed, dead or discarded, as KRA has it";

pub(super) fn properties(model: &LaneModel) -> Vec<Property<LaneModel>> {
    let mut properties = laws();
    if model.has_credit_note {
        properties.extend(credit_note_laws());
    }
    properties.extend(reached::properties(model));
    properties
}

fn laws() -> Vec<Property<LaneModel>> {
    vec![
        Property::always(ONE_SALE, |_: &LaneModel, state: &LaneModelState| {
            one_sale(state)
        }),
        Property::always(SAME_RECEIPTS, |_, state: &LaneModelState| {
            same_receipts(state)
        }),
        Property::always(FATE_KNOWN, |_, state: &LaneModelState| fate_known(state)),
        Property::always(NO_HALT, |_, state: &LaneModelState| !state.halted),
        Property::always(DEAD_HAS_MESSAGE, |_, state: &LaneModelState| {
            let has_message =
                |invoice: &Invoice| invoice.state != InvoiceState::Dead || invoice.has_message;
            state.invoices.iter().all(has_message)
        }),
        Property::always(SETTLES, |model: &LaneModel, state: &LaneModelState| {
            model.settling.always_settles(model, state)
        }),
    ]
}

fn credit_note_laws() -> Vec<Property<LaneModel>> {
    vec![
        Property::always(SALE_FIRST, |_: &LaneModel, state: &LaneModelState| {
            sale_first(state)
        }),
        Property::always(DISCARDED_WITH_SALE, |_, state: &LaneModelState| {
            state.credit_notes().all(|(invoice, credit_note, sale)| {
                let sale_discarded = sale == InvoiceState::Discarded;
                let waits = !matches!(
                    invoice.state,
                    InvoiceState::NotYet | InvoiceState::Discarded
                );
                !(sale_discarded && waits) && (sale_discarded || !credit_note.discarded_with_sale)
            })
        }),
        Property::always(NOT_WITHDRAWN, |_, state: &LaneModelState| {
            state.credit_notes().all(|(invoice, credit_note, _)| {
                !credit_note.withdrawn || invoice.state == InvoiceState::Discarded
            })
        }),
    ]
}

fn one_sale(state: &LaneModelState) -> bool {
    let accepted = &state.accepted;
    (0..accepted.len()).all(|at| !accepted[..at].contains(&accepted[at]))
}

/// Whether every receipt is KRA's, and the lane has passed only numbers that an invoice of ours
/// owns (protocol D11).
fn same_receipts(state: &LaneModelState) -> bool {
    let receipts_are_theirs =
        (0_u8..)
            .zip(&state.invoices)
            .all(|(id, invoice)| match invoice.state {
                InvoiceState::Success(number) => state.owner(number) == Some(id),
                _ => true,
            });
    let is_owned = |number| {
        state
            .invoices
            .iter()
            .any(|invoice| invoice.state == InvoiceState::Success(number))
    };
    receipts_are_theirs && (1..state.next_number).all(is_owned)
}

/// Whether of all numbers under which a sale was sent without an answer, all but the last are
/// another invoice's in our database (protocol D11).
fn fate_known(state: &LaneModelState) -> bool {
    let is_others = |id: u8, number: u8| {
        (0_u8..)
            .zip(&state.invoices)
            .any(|(other, invoice)| other != id && invoice.state == InvoiceState::Success(number))
    };
    (0..state.invoices.len() as u8).all(|id| {
        let open = state.open_sends(id);
        open.iter()
            .filter(|number| Some(*number) != open.last())
            .all(|number| is_others(id, number))
    })
}

fn sale_first(state: &LaneModelState) -> bool {
    state.accepted.iter().enumerate().all(|(at, id)| {
        let credit_note = state.invoice(*id).credit_note;
        credit_note.is_none_or(|credit_note| state.accepted[..at].contains(&credit_note.sale))
    })
}

/// Whether all is filed, dead or discarded, our database has every sale that KRA has, and nobody
/// has anything to do.
pub(super) fn is_settled(state: &LaneModelState) -> bool {
    let idle = state.workers.iter().all(|phase| *phase == Phase::Idle);
    let done = state
        .invoices
        .iter()
        .all(|invoice| is_over(state, invoice) && invoice.late_look_up.is_none());
    let theirs_are_ours = (1_u8..)
        .zip(&state.accepted)
        .all(|(number, owner)| state.invoice(*owner).state == InvoiceState::Success(number));
    idle && done
        && theirs_are_ours
        && usize::from(state.next_number) == state.accepted.len() + 1
        && !state.halted
}

fn is_over(state: &LaneModelState, invoice: &Invoice) -> bool {
    let sale_is_dead =
        |credit_note: CreditNote| state.invoice(credit_note.sale).state == InvoiceState::Dead;
    match invoice.state {
        InvoiceState::NotYet
        | InvoiceState::Success(_)
        | InvoiceState::Dead
        | InvoiceState::Discarded => true,
        // A credit note waits as long as its sale is dead.
        InvoiceState::Pending => invoice.credit_note.is_some_and(sale_is_dead),
        InvoiceState::Submitting(_) => false,
    }
}

impl LaneModelState {
    /// Each credit note with the state of its sale.
    pub(super) fn credit_notes(
        &self,
    ) -> impl Iterator<Item = (&Invoice, CreditNote, InvoiceState)> {
        self.invoices.iter().filter_map(|invoice| {
            let credit_note = invoice.credit_note?;
            Some((invoice, credit_note, self.invoice(credit_note.sale).state))
        })
    }
}
