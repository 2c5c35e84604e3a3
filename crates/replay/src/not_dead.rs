//! What a command says of an id that it cannot take. An invoice that still waits must not look as
//! if it was given up.

use std::process::ExitCode;

use anyhow::Result;
use risiti_ledger::{DeadLetterScope, Ledger, Named, NotADeadLetter};
use uuid::Uuid;

use crate::output::Output;

/// For which command an id was named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Replay,
    Discard,
    Show,
}

/// Whether every id that was named can be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NamedIds {
    AllFound,
    SomeNot,
}

impl NamedIds {
    pub(crate) fn code(self) -> ExitCode {
        match self {
            Self::AllFound => ExitCode::SUCCESS,
            Self::SomeNot => ExitCode::FAILURE,
        }
    }
}

/// Says of each id that is no dead letter of the scope what it is.
pub(crate) async fn tell_of_not_dead(
    ledger: &Ledger,
    ids: &[Uuid],
    scope: DeadLetterScope,
    wanted: Wanted,
    out: Output,
) -> Result<NamedIds> {
    if ids.is_empty() {
        return Ok(NamedIds::AllFound);
    }
    let others = ledger.not_dead_letters(ids, scope).await?;
    for other in &others {
        out.problem(&text(other, wanted));
    }
    Ok(if others.is_empty() {
        NamedIds::AllFound
    } else {
        NamedIds::SomeNot
    })
}

/// Says of each id, which is none of an invoice that waits, what it is.
pub(crate) async fn tell_of_not_waiting(
    ledger: &Ledger,
    ids: &[Uuid],
    out: Output,
) -> Result<NamedIds> {
    if ids.is_empty() {
        return Ok(NamedIds::AllFound);
    }
    let others = ledger
        .not_dead_letters(ids, DeadLetterScope::Waiting)
        .await?;
    for id in ids {
        match others.iter().find(|other| other.id == *id) {
            None => out.problem(&format!(
                "{id} is a dead letter: discard it without --waiting"
            )),
            Some(other) => {
                let what = what_it_is(other, Wanted::Discard);
                out.problem(&format!(
                    "{id} does not wait, or the filter leaves it out: {what}"
                ));
            }
        }
    }
    Ok(NamedIds::SomeNot)
}

fn text(other: &NotADeadLetter, wanted: Wanted) -> String {
    let id = other.id;
    let what = what_it_is(other, wanted);
    match &other.names {
        Named::Dead => format!("{id} {what}"),
        Named::Nothing => what,
        _ => format!("{id} is no dead letter: {what}"),
    }
}

fn what_it_is(other: &NotADeadLetter, wanted: Wanted) -> String {
    let id = other.id;
    match &other.names {
        Named::Waiting { lane, .. } if wanted == Wanted::Replay => {
            format!("it waits to be filed in lane {lane}, and needs no replay")
        }
        Named::Waiting {
            lane,
            may_be_at_kra,
        } => {
            let at_once = if *may_be_at_kra || wanted != Wanted::Discard {
                String::new()
            } else {
                format!(", or: risiti-replay discard --waiting --id {id} --reason TEXT")
            };
            format!(
                "it waits to be filed in lane {lane}. {}{at_once}",
                take_out(lane, id)
            )
        }
        Named::WaitingForSale { sale, sale_state } => format!(
            "it is a credit note that waits for its sale {sale}, which is {sale_state}. A \
             discarded sale takes it along"
        ),
        Named::Sent { lane, invoice_no } => format!(
            "it was sent as number {invoice_no} in lane {lane}, and nobody knows yet whether KRA \
             has it. {}",
            take_out(lane, id)
        ),
        Named::Filed {
            invoice_no,
            receipt_no,
        } => format!("it is filed as number {invoice_no}, KRA's receipt {receipt_no}"),
        Named::Discarded {
            by,
            reason,
            has_row,
        } => {
            let back = if *has_row {
                format!(". risiti-replay run --discarded --id {id} takes that back")
            } else {
                String::new()
            };
            format!("it was discarded by {by}: {reason}{back}")
        }
        Named::Replayed { by } => format!("it was replayed by {by}"),
        Named::Dead => "was not discarded: it is a dead letter that waits".to_owned(),
        Named::Other => format!("it is a payment or an event: risiti-replay show {id}"),
        Named::Nothing => format!("there is no dead letter or invoice {id}"),
    }
}

fn take_out(lane: impl std::fmt::Display, id: Uuid) -> String {
    format!("Take it out first: risiti-replay lanes set-aside {lane} --invoice {id} --reason TEXT")
}
