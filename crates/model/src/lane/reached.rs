//! What must be seen to happen. If it never did, the laws would hold of nothing.

use stateright::Property;

use super::laws::is_settled;
use super::{Answer, Invoice, InvoiceState, LaneModel, LaneModelState, Phase};

pub(super) fn properties(model: &LaneModel) -> Vec<Property<LaneModel>> {
    let mut properties = with_one_sale();
    if model.has_credit_note {
        properties.extend(with_credit_note());
    } else if model.invoices > 1 {
        properties.extend(with_two_sales());
    }
    if model.restores > 0 {
        properties.push(with_restore());
    }
    if model.workers > 1 {
        properties.push(with_two_workers());
    }
    properties
}

fn with_one_sale() -> Vec<Property<LaneModel>> {
    vec![
        Property::sometimes(
            "KRA accepts a sale that is dead in our database",
            |_: &LaneModel, state: &LaneModelState| state.kra_has_invoice(InvoiceState::Dead),
        ),
        Property::sometimes(
            "KRA accepts a sale that was discarded",
            |_, state: &LaneModelState| state.kra_has_invoice(InvoiceState::Discarded),
        ),
        Property::sometimes(
            "a sale that KRA has is replayed",
            |_, state: &LaneModelState| state.kra_has_invoice(InvoiceState::Pending),
        ),
        Property::sometimes(
            "a late look-up finds the sale",
            |_, state: &LaneModelState| {
                let found = |phase: &Phase| matches!(phase, Phase::LookedUpLate(_, Some(_)));
                state.workers.iter().any(found)
            },
        ),
        Property::sometimes("a look-up lags", |_, state: &LaneModelState| {
            state.workers.iter().any(|phase| match phase {
                Phase::LookedUp(plan, None) => state.owner(plan.number).is_some(),
                _ => false,
            })
        }),
        Property::sometimes(
            "KRA calls a number taken that its look-ups do not show",
            |_, state: &LaneModelState| state.invoices.iter().any(|invoice| invoice.hidden),
        ),
    ]
}

fn with_two_sales() -> Vec<Property<LaneModel>> {
    vec![
        Property::sometimes(
            "a sale holds a number under which KRA has another",
            |_: &LaneModel, state: &LaneModelState| {
                let meets_another = |(id, invoice): (u8, &Invoice)| match invoice.state {
                    InvoiceState::Submitting(number) => {
                        state.owner(number).is_some_and(|owner| owner != id)
                    }
                    _ => false,
                };
                (0_u8..).zip(&state.invoices).any(meets_another)
            },
        ),
        Property::sometimes(
            "a look-up for one sale finds another",
            |_, state: &LaneModelState| {
                state.workers.iter().any(|phase| match phase {
                    Phase::LookedUp(plan, Some(owner)) => *owner != plan.invoice,
                    _ => false,
                })
            },
        ),
        Property::sometimes("a sale is deferred", |_, state: &LaneModelState| {
            state.unfiled == [1, 0]
        }),
        Property::sometimes("all are filed", |_, state: &LaneModelState| {
            is_settled(state) && state.next_number == 3
        }),
    ]
}

fn with_credit_note() -> Vec<Property<LaneModel>> {
    vec![
        Property::sometimes(
            "a credit note waits for a sale that is dead",
            |_: &LaneModel, state: &LaneModelState| {
                state.credit_notes().any(|(invoice, _, sale)| {
                    invoice.state == InvoiceState::Pending && sale == InvoiceState::Dead
                })
            },
        ),
        Property::sometimes(
            "a sale is adopted whose credit note was discarded with it",
            |_, state: &LaneModelState| {
                let finds = |sale: u8| {
                    state.workers.iter().any(|phase| match phase {
                        Phase::LookedUpLate(_, Some(id)) => *id == sale,
                        _ => false,
                    })
                };
                state.credit_notes().any(|(_, credit_note, _)| {
                    credit_note.discarded_with_sale && finds(credit_note.sale)
                })
            },
        ),
        Property::sometimes(
            "a sale is deferred behind its credit note",
            |_, state: &LaneModelState| state.unfiled == [1, 0],
        ),
        Property::sometimes(
            "all are filed",
            |model: &LaneModel, state: &LaneModelState| {
                is_settled(state) && state.next_number == model.invoices + 1
            },
        ),
    ]
}

fn with_restore() -> Property<LaneModel> {
    Property::sometimes(
        "KRA expects more than the number after the one that was sent",
        |_: &LaneModel, state: &LaneModelState| {
            state.workers.iter().any(|phase| match phase {
                Phase::Answered(plan, Answer::NumberTaken) => {
                    state.accepted.len() > usize::from(plan.number)
                }
                _ => false,
            })
        },
    )
}

fn with_two_workers() -> Property<LaneModel> {
    Property::sometimes(
        "a worker thaws with an answer after its lane was taken",
        |_: &LaneModel, state: &LaneModelState| {
            (0_u8..).zip(&state.workers).any(|(w, phase)| {
                matches!(phase, Phase::Answered(..))
                    && state.claim.is_some_and(|holder| holder != w)
            })
        },
    )
}
