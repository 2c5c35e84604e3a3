//! What follows from KRA's answer to a send (protocol D7, D9, D10, D16).

use std::time::Duration;

use risiti_domain::Dialect;
use risiti_etims::{Answer, Receipt, SendOutcome};
use risiti_ledger::{LaneInvoice, SendResult};

use super::{ROUNDS_MAX, Situation, can_look_up, may_be_the_hosts, unknown_for_an_hour};
use crate::halt_reasons::{
    Halt, needs_device_fix, out_of_step, probably_accepted, refused_after_unknown,
    unsettled_at_vscu,
};

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
