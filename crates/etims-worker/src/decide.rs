//! What follows from an invoice's history and from each answer of KRA (protocol D7–D12, D16).
//!
//! These functions are pure. They read stored history only, so that any worker goes on where
//! another one stopped.

use std::time::Duration;

use jiff::Timestamp;
use risiti_domain::{DeadCause, Dialect, InvoiceId};
use risiti_etims::{Answer, FoundSale, LookUpOutcome, Receipt, SendOutcome};
use risiti_ledger::{
    FailureCount, HIDDEN_MAX, History, HostProof, LaneInvoice, SendResult, UNKNOWN_MAX,
};

use crate::halt_reasons::{
    Halt, foreign_sale, needs_device_fix, needs_resolving, out_of_step, probably_accepted,
    refused_after_unknown, unsettled_at_vscu,
};

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

/// What follows from an answer to a send.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum AfterSend {
    Accept(Receipt),
    /// The result is stored first.
    Record {
        result: SendResult,
        follow_up: FollowUp,
    },
}

/// What the lane does once a send's result is stored.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FollowUp {
    /// It decides anew at once.
    Continue,
    /// It backs off, for this long at least.
    Wait(Option<Duration>),
    Halt(Halt),
    /// It halts, and the invoice gives back its number, which KRA has not taken.
    FreeNumberAndHalt(Halt),
}

/// What follows from an answer to a look-up.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum AfterLookUp {
    Accept(Receipt),
    /// The number belongs to another invoice, which may be one of ours (protocol D8).
    GiveTo(InvoiceId, Receipt),
    /// The same bytes are sent again, under the same number.
    Resend(FailureCount),
    Defer(FailureCount),
    DeadLetter(GivenUp),
    /// The lane backs off, for this long at least.
    Wait {
        nothing_learnt: bool,
        at_least: Option<Duration>,
    },
    Halt(Halt),
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

pub(crate) fn after_send(
    situation: &Situation,
    invoice: &LaneInvoice,
    outcome: &SendOutcome,
) -> AfterSend {
    let history = &invoice.history;
    let unknown = |follow_up| AfterSend::Record {
        result: SendResult::Unknown,
        follow_up,
    };
    if let Some(halt) = unsettled_for_an_hour(situation, invoice, outcome) {
        return unknown(FollowUp::Halt(halt));
    }
    match outcome {
        SendOutcome::Ok(receipt) => AfterSend::Accept(receipt.clone()),
        SendOutcome::NotSent(answer) => AfterSend::Record {
            result: match history.unknown_since {
                None => SendResult::NotSent,
                Some(_) => SendResult::NotSentAfterUnknown,
            },
            follow_up: FollowUp::Wait(answer.retry_after),
        },
        SendOutcome::Refused {
            answer,
            look_up_first,
        } => refused(situation, invoice, answer, *look_up_first),
        SendOutcome::Retry(answer) => match answer.halts_if_repeated {
            Some(reason) if history.rounds + history.strikes + 1 >= ROUNDS_MAX => unknown(
                FollowUp::Halt(needs_device_fix(invoice.device, reason, answer)),
            ),
            _ => unknown(FollowUp::Wait(answer.retry_after)),
        },
        SendOutcome::Unknown(answer) => unknown(FollowUp::Wait(answer.retry_after)),
        SendOutcome::Taken(answer) => AfterSend::Record {
            result: SendResult::Taken,
            follow_up: match situation.dialect {
                Dialect::Vscu => FollowUp::Halt(probably_accepted(invoice, answer)),
                Dialect::Legacy | Dialect::Gateway => FollowUp::Continue,
            },
        },
        SendOutcome::OutOfStep { expected, answer } => {
            let halt = out_of_step(invoice, *expected, answer);
            let (result, follow_up) = if history.ever_unknown {
                (SendResult::OutOfStepAfterUnknown, FollowUp::Halt(halt))
            } else {
                (SendResult::OutOfStep, FollowUp::FreeNumberAndHalt(halt))
            };
            AfterSend::Record { result, follow_up }
        }
        SendOutcome::Halt { answer, .. } if may_be_the_hosts(situation, invoice, answer) => {
            unknown(FollowUp::Wait(answer.retry_after))
        }
        SendOutcome::Halt { reason, answer } => unknown(FollowUp::Halt(needs_device_fix(
            invoice.device,
            *reason,
            answer,
        ))),
    }
}

/// A refusal is final only if no send of this invoice was ever unanswered under its number
/// (protocol D10). A VSCU has no look-up, so that a vague refusal leaves only the same bytes, and a
/// refusal after an unanswered send leaves only a person (protocol D16).
fn refused(
    situation: &Situation,
    invoice: &LaneInvoice,
    answer: &Answer,
    look_up_first: bool,
) -> AfterSend {
    let can_look_up = can_look_up(situation.dialect);
    let (result, follow_up) = match (look_up_first, invoice.history.ever_unknown) {
        (false, false) => (SendResult::Refused, FollowUp::Continue),
        (true, _) if !can_look_up => (SendResult::Unknown, FollowUp::Wait(answer.retry_after)),
        (true, _) => (SendResult::RefusedVaguely, FollowUp::Continue),
        (false, true) if !can_look_up => (
            SendResult::RefusedAfterUnknown,
            FollowUp::Halt(refused_after_unknown(invoice, answer)),
        ),
        (false, true) => (SendResult::RefusedAfterUnknown, FollowUp::Continue),
    };
    AfterSend::Record { result, follow_up }
}

/// Why a VSCU's lane halts that for an hour neither accepted nor refused the sale, although it
/// speaks (protocol D9). Nothing else would end the sends, because no look-up counts them.
fn unsettled_for_an_hour(
    situation: &Situation,
    invoice: &LaneInvoice,
    outcome: &SendOutcome,
) -> Option<Halt> {
    let answer = match outcome {
        SendOutcome::Retry(answer) | SendOutcome::Unknown(answer) => answer,
        SendOutcome::Refused {
            answer,
            look_up_first: true,
        } => answer,
        _ => return None,
    };
    let too_long = unknown_for_an_hour(situation, invoice, answer);
    (!can_look_up(situation.dialect) && too_long).then(|| unsettled_at_vscu(invoice, answer))
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

pub(crate) fn after_look_up(
    situation: &Situation,
    invoice: &LaneInvoice,
    outcome: &LookUpOutcome,
) -> AfterLookUp {
    match outcome {
        LookUpOutcome::Found(sale) => found(situation, invoice, sale),
        LookUpOutcome::Absent(answer) => absent(situation, invoice, answer),
        LookUpOutcome::NoAnswer(answer) => no_answer(situation, invoice, answer),
        LookUpOutcome::Unsupported => no_answer(situation, invoice, &Answer::default()),
        LookUpOutcome::Halt { answer, .. } if may_be_the_hosts(situation, invoice, answer) => {
            AfterLookUp::Wait {
                nothing_learnt: true,
                at_least: answer.retry_after,
            }
        }
        LookUpOutcome::Halt { reason, answer } => {
            AfterLookUp::Halt(needs_device_fix(invoice.device, *reason, answer))
        }
    }
}

fn found(situation: &Situation, invoice: &LaneInvoice, sale: &FoundSale) -> AfterLookUp {
    match sale.invoice_id() {
        _ if sale.invoice_no != invoice.invoice_no => {
            no_answer(situation, invoice, &Answer::default())
        }
        Some(id) if id != invoice.id => AfterLookUp::GiveTo(id, sale.receipt.clone()),
        Some(_) if sale.total.is_none_or(|total| total == invoice.total) => {
            AfterLookUp::Accept(sale.receipt.clone())
        }
        Some(_) => AfterLookUp::Halt(needs_resolving(
            invoice,
            "KRA has our invoice with another amount",
        )),
        None => AfterLookUp::Halt(foreign_sale(invoice)),
    }
}

fn absent(situation: &Situation, invoice: &LaneInvoice, answer: &Answer) -> AfterLookUp {
    let history = &invoice.history;
    if let Some(since) = history.hidden_since {
        if situation.now.duration_since(since) < HIDDEN_MAX {
            return AfterLookUp::Wait {
                nothing_learnt: false,
                at_least: answer.retry_after,
            };
        }
        let said = history.last_error.as_deref().unwrap_or_default();
        let problem = format!(
            "KRA says the number is taken ({said}), and for 15 minutes its look-ups have not shown it"
        );
        return AfterLookUp::Halt(needs_resolving(invoice, &problem));
    }
    if history.refused {
        return AfterLookUp::DeadLetter(GivenUp {
            cause: DeadCause::Refused,
            strikes: history.strikes,
        });
    }

    let failures = count_failure(situation, history);
    if failures.strikes >= situation.strikes_max {
        AfterLookUp::DeadLetter(GivenUp {
            cause: DeadCause::Exhausted,
            strikes: failures.strikes,
        })
    } else if failures.rounds >= ROUNDS_MAX {
        AfterLookUp::Defer(failures)
    } else {
        AfterLookUp::Resend(failures)
    }
}

/// A failure is a strike if the host accepted another sale since the last one. Without that proof
/// it is a round (protocol D12).
fn count_failure(situation: &Situation, history: &History) -> FailureCount {
    match history.strike_mark {
        Some(_) if situation.proof.took_another && situation.breaker_closed => FailureCount {
            strikes: history.strikes + 1,
            rounds: 0,
            mark: situation.now,
        },
        mark => FailureCount {
            strikes: history.strikes,
            rounds: history.rounds + 1,
            mark: mark.unwrap_or(situation.now),
        },
    }
}

/// A look-up that brought nothing is repeated, for an hour at most.
fn no_answer(situation: &Situation, invoice: &LaneInvoice, answer: &Answer) -> AfterLookUp {
    if unknown_for_an_hour(situation, invoice, answer) {
        return AfterLookUp::Halt(needs_resolving(
            invoice,
            &format!("for an hour KRA did not tell whether it has the number ({answer})"),
        ));
    }
    AfterLookUp::Wait {
        nothing_learnt: true,
        at_least: answer.retry_after,
    }
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
