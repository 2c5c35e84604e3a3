//! What must hold, and what must be seen to happen so that holding means something.

use stateright::Property;

use super::{Invoice, Lane, Note, Phase, Standing, State};

pub const ONE_SALE: &str = "KRA accepts a sale at most once";
pub const SAME_BOOKS: &str = "receipts of ours are receipts of theirs, and numbers have no gap";
pub const NOTHING_BLIND: &str =
    "no sale goes out under a number while its fate under another is unknown";
pub const NO_HALT: &str = "no lane needs a person";
pub const DEATH_TOLD: &str = "every death has its message";
pub const SALE_FIRST: &str = "KRA has a credit note only after its sale";
pub const WITH_SALE: &str = "a credit note is given up with its sale, and for as long";
pub const NOT_WITHDRAWN: &str = "no credit note goes out whose money came back";
pub const SETTLES: &str = "once faults stop, all is filed, dead or discarded, as KRA has it";

pub(super) fn properties(lane: &Lane) -> Vec<Property<Lane>> {
    let mut properties = laws();
    properties.extend(seen_with_one_sale());
    if lane.credit_note {
        properties.extend(of_credit_notes());
    } else if lane.sales > 1 {
        properties.extend(seen_with_two_sales());
    }
    if lane.workers > 1 {
        properties.extend(seen_with_two_workers());
    }
    properties
}

fn laws() -> Vec<Property<Lane>> {
    vec![
        Property::always(ONE_SALE, |_: &Lane, state: &State| one_sale(state)),
        Property::always(SAME_BOOKS, |_, state: &State| same_books(state)),
        Property::always(NOTHING_BLIND, |_, state: &State| nothing_blind(state)),
        Property::always(NO_HALT, |_, state: &State| !state.halted),
        Property::always(DEATH_TOLD, |_, state: &State| {
            state
                .invoices
                .iter()
                .all(|invoice| invoice.standing != Standing::Dead || invoice.told)
        }),
        Property::always(SETTLES, |lane: &Lane, state: &State| {
            lane.settling.always_settles(lane, state)
        }),
    ]
}

/// What must be seen to happen, or the laws would hold of nothing.
fn seen_with_one_sale() -> Vec<Property<Lane>> {
    vec![
        Property::sometimes(
            "KRA takes a sale that is dead by our books",
            |_: &Lane, state: &State| state.kra_has(|invoice| invoice.standing == Standing::Dead),
        ),
        Property::sometimes("KRA takes a sale that was discarded", |_, state: &State| {
            state.kra_has(|invoice| invoice.standing == Standing::Discarded)
        }),
        Property::sometimes("a sale that KRA has is replayed", |_, state: &State| {
            state.kra_has(|invoice| invoice.standing == Standing::Pending)
        }),
        Property::sometimes("a later look-up finds the sale", |_, state: &State| {
            state
                .workers
                .iter()
                .any(|phase| matches!(phase, Phase::AskedLate(_, Some(_))))
        }),
        Property::sometimes("a look-up lags", |_, state: &State| {
            let lags = |phase: &Phase| matches!(phase, Phase::Asked(plan, None) if state.owner(plan.no).is_some());
            state.workers.iter().any(lags)
        }),
        Property::sometimes(
            "KRA calls a number taken that its look-ups do not show",
            |_, state: &State| state.invoices.iter().any(|invoice| invoice.hidden),
        ),
    ]
}

fn seen_with_two_sales() -> Vec<Property<Lane>> {
    vec![
        Property::sometimes(
            "two sales meet under one number",
            |_: &Lane, state: &State| {
                let out = |(id, invoice): (u8, &Invoice)| {
                    matches!(invoice.standing, Standing::Submitting(no)
                if state.owner(no).is_some_and(|owner| owner != id))
                };
                (0_u8..).zip(&state.invoices).any(out)
            },
        ),
        Property::sometimes(
            "a look-up for one sale finds another",
            |_, state: &State| {
                let other = |phase: &Phase| matches!(phase, Phase::Asked(plan, Some(owner)) if *owner != plan.invoice);
                state.workers.iter().any(other)
            },
        ),
        Property::sometimes("a sale steps aside", |_, state: &State| {
            state.line == [1, 0]
        }),
        Property::sometimes("all are filed", |_, state: &State| {
            settled(state) && state.next_no == 3
        }),
    ]
}

fn of_credit_notes() -> Vec<Property<Lane>> {
    vec![
        Property::always(SALE_FIRST, |_: &Lane, state: &State| {
            let sale_before = |at: usize, note: Note| state.kra[..at].contains(&note.sale);
            let note = |id: &u8| state.invoices[usize::from(*id)].note;
            state
                .kra
                .iter()
                .enumerate()
                .all(|(at, id)| note(id).is_none_or(|note| sale_before(at, note)))
        }),
        Property::always(WITH_SALE, |_, state: &State| {
            notes(state).all(|(invoice, note, sale)| {
                let gone = sale == Standing::Discarded;
                let waits = !matches!(invoice.standing, Standing::NotYet | Standing::Discarded);
                !(gone && waits) && (gone || !note.with_sale)
            })
        }),
        Property::always(NOT_WITHDRAWN, |_, state: &State| {
            notes(state).all(|(invoice, note, _)| {
                !note.withdrawn || invoice.standing == Standing::Discarded
            })
        }),
        Property::sometimes(
            "a credit note waits for a sale that is dead",
            |_, state: &State| {
                notes(state).any(|(invoice, _, sale)| {
                    invoice.standing == Standing::Pending && sale == Standing::Dead
                })
            },
        ),
        Property::sometimes(
            "a sale is adopted whose credit note went with it",
            |_, state: &State| {
                let found = |sale| {
                    let found = move |phase: &Phase| matches!(phase, Phase::AskedLate(_, Some(id)) if *id == sale);
                    state.workers.iter().any(found)
                };
                notes(state).any(|(_, note, _)| note.with_sale && found(note.sale))
            },
        ),
        Property::sometimes(
            "a sale steps aside behind its credit note",
            |_, state: &State| state.line == [1, 0],
        ),
        Property::sometimes("all are filed", |lane: &Lane, state: &State| {
            settled(state) && state.next_no == lane.sales + 1
        }),
    ]
}

/// Each credit note, and where its sale stands.
fn notes(state: &State) -> impl Iterator<Item = (&Invoice, Note, Standing)> {
    let sale = |note: Note| state.invoices[usize::from(note.sale)].standing;
    state
        .invoices
        .iter()
        .filter_map(move |invoice| invoice.note.map(|note| (invoice, note, sale(note))))
}

fn seen_with_two_workers() -> Vec<Property<Lane>> {
    vec![Property::sometimes(
        "a worker thaws with an answer, its lane another's",
        |_: &Lane, state: &State| {
            (0_u8..).zip(&state.workers).any(|(w, phase)| {
                matches!(phase, Phase::Answered(..))
                    && state.claim.is_some_and(|holder| holder != w)
            })
        },
    )]
}

fn one_sale(state: &State) -> bool {
    (0..state.kra.len()).all(|at| !state.kra[..at].contains(&state.kra[at]))
}

/// Every receipt is KRA's, and the lane's number passes only what somebody of ours owns (protocol D11).
fn same_books(state: &State) -> bool {
    let number = |invoice: &Invoice| match invoice.standing {
        Standing::Success(no) => Some(no),
        _ => None,
    };
    let ours_are_theirs = (0_u8..)
        .zip(&state.invoices)
        .all(|(id, invoice)| number(invoice).is_none_or(|no| state.owner(no) == Some(id)));
    let owned = |no| {
        state
            .invoices
            .iter()
            .any(|invoice| number(invoice) == Some(no))
    };
    ours_are_theirs && (1..state.next_no).all(owned)
}

/// Of the numbers a sale was sent under without an answer, all but the last are another's in our books (protocol D11).
fn nothing_blind(state: &State) -> bool {
    let anothers = |id: u8, no: u8| {
        let owns = |(other, invoice): (u8, &Invoice)| {
            other != id && invoice.standing == Standing::Success(no)
        };
        (0_u8..).zip(&state.invoices).any(owns)
    };
    (0..state.invoices.len() as u8).all(|id| {
        let open = state.open(id);
        open.iter()
            .filter(|no| Some(*no) != open.last())
            .all(|no| anothers(id, no))
    })
}

/// All is filed, dead or discarded, KRA has no sale that our books do not have, and nobody has anything to do.
pub(super) fn settled(state: &State) -> bool {
    let still = state.workers.iter().all(|phase| *phase == Phase::Idle);
    let done = state.invoices.iter().all(|invoice| {
        let over = matches!(
            invoice.standing,
            Standing::NotYet | Standing::Success(_) | Standing::Dead | Standing::Discarded
        );
        let waits = |note: Note| state.invoices[usize::from(note.sale)].standing == Standing::Dead;
        let for_its_sale = invoice.standing == Standing::Pending && invoice.note.is_some_and(waits);
        (over || for_its_sale) && invoice.look_up.is_none()
    });
    let theirs_are_ours = (1_u8..)
        .zip(&state.kra)
        .all(|(no, owner)| state.invoices[usize::from(*owner)].standing == Standing::Success(no));
    still
        && done
        && theirs_are_ours
        && state.next_no as usize == state.kra.len() + 1
        && !state.halted
}
