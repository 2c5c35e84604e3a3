//! What follows from an invoice's history and from each answer of KRA (protocol D7–D12, D16).
//!
//! These functions are pure. They read stored history only, so that any worker goes on where
//! another one stopped.

mod after_look_up;
mod after_send;

use jiff::Timestamp;
use risiti_domain::{DeadCause, Dialect};
use risiti_etims::Answer;
use risiti_ledger::{History, HostProof, LaneInvoice, UNKNOWN_MAX};

pub(crate) use after_look_up::{AfterLookUp, after_look_up};
pub(crate) use after_send::{AfterSend, FollowUp, after_send};

/// Failures of a lane in a row after which a status such as 403 halts it.
const HALT_AFTER_FAILURES: u32 = 3;
/// Failures without proof after which an invoice is deferred (protocol D12).
const ROUNDS_MAX: u32 = 3;

/// What a lane does next with the invoice whose turn it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Send,
    LookUp,
    DeadLetter(GivenUp),
}

/// Why an invoice becomes a dead letter.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct GivenUp {
    pub(crate) cause: DeadCause,
    pub(crate) strikes: u32,
}

/// What a decision depends on beside the invoice and the answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation {
    pub(crate) dialect: Dialect,
    pub(crate) now: Timestamp,
    pub(crate) strikes_max: u32,
    /// Failures at a host whose breaker is not closed prove nothing about an invoice
    /// (protocol D13).
    pub(crate) breaker_closed: bool,
    /// Calls of other lanes have failed since the host last worked, so that its breaker may be
    /// about to open.
    pub(crate) fails_for_others: bool,
    pub(crate) proof: HostProof,
}

/// Decides what to do with an invoice.
///
/// A number given back with an unanswered send behind it is looked up before another invoice takes
/// it. The old request may have arrived since, and KRA would then show two sales under one number.
pub(crate) fn step(dialect: Dialect, holds_number: bool, history: &History) -> Step {
    let unknown = if holds_number {
        history.unknown_since.is_some()
    } else {
        history.others_unknown
    };
    // Where there is no look-up, the same bytes are sent again instead (protocol D16).
    if unknown && can_look_up(dialect) {
        Step::LookUp
    } else if holds_number && !unknown && history.refused {
        Step::DeadLetter(GivenUp {
            cause: DeadCause::Refused,
            strikes: history.strikes,
        })
    } else {
        Step::Send
    }
}

/// Whether an answer that stops a lane may be its host's trouble, which is the breaker's to deal with
/// (protocol D13). It is the lane's if it stays while the host fails for no other.
fn may_be_the_hosts(situation: &Situation, invoice: &LaneInvoice, answer: &Answer) -> bool {
    let stays = invoice.lane_failures + 1 >= HALT_AFTER_FAILURES
        && situation.breaker_closed
        && !situation.fails_for_others;
    answer.against_host && !stays
}

/// Whether KRA can be asked what it has under a number. A VSCU cannot (protocol D16).
fn can_look_up(dialect: Dialect) -> bool {
    dialect != Dialect::Vscu
}

/// Whether the number stayed unknown for too long at a host that answers others, or that answers
/// this lane without settling anything (protocol D9).
///
/// A number that the invoice is only about to take was sent for another invoice. Since when that
/// one is unknown does not matter, but since when no look-up was answered.
fn unknown_for_an_hour(situation: &Situation, invoice: &LaneInvoice, answer: &Answer) -> bool {
    let since = if invoice.holds_number {
        invoice.history.unknown_since
    } else {
        invoice.history.unanswered_since
    };
    let says_something =
        answer.code.is_some() || (answer.http_status.is_some() && !answer.against_host);
    let speaks = situation.proof.answers || (says_something && situation.breaker_closed);
    speaks && since.is_some_and(|since| situation.now.duration_since(since) >= UNKNOWN_MAX)
}

#[cfg(test)]
mod tests;
