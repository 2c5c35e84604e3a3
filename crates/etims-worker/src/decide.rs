//! What follows from an invoice's history and from each answer: protocol D7–D12 and D16, pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use risiti_domain::{DeadCause, DeviceId, Dialect, InvoiceId};
use risiti_etims::{Answer, FoundSale, HaltReason, LookUpOutcome, Receipt, SendOutcome};
use risiti_ledger::{History, HostProof, LaneInvoice, SendResult, Tally};

/// How long a number that KRA calls taken may stay invisible to look-ups (protocol D9).
const HIDDEN_MAX: SignedDuration = SignedDuration::from_mins(15);
/// How long a number's fate may stay unknown while the host answers others (protocol D9).
const UNKNOWN_MAX: SignedDuration = SignedDuration::from_hours(1);
/// Rounds without proof after which an invoice steps aside (protocol D12).
const ROUNDS_MAX: u32 = 3;

/// What a lane does with the invoice whose turn it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Send,
    LookUp,
    DeadLetter(Death),
}

/// A death, its message still to be published.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Death {
    pub(crate) cause: DeadCause,
    pub(crate) strikes: u32,
}

/// What follows from an answer to a send.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum AfterSend {
    Accept(Receipt),
    /// Write the answer down, then go on.
    Record {
        word: SendResult,
        settled: bool,
        taken: bool,
        refused: bool,
        then: Then,
    },
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// Decide anew at once.
    GoOn,
    /// Back off, for this long at least.
    Wait(Option<Duration>),
    Halt(String),
}

/// What follows from an answer to a look-up.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum AfterLookUp {
    Accept(Receipt),
    /// The number is another invoice's, which may be one of ours (protocol D8).
    GiveTo(InvoiceId, Receipt),
    /// The same bytes again, under the same number.
    Resend(Tally),
    Defer(Tally),
    DeadLetter(Death),
    /// Back off, for this long at least.
    Wait {
        nothing_learnt: bool,
        at_least: Option<Duration>,
    },
    Halt(String),
}

/// What the decisions depend on beside history and answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) dialect: Dialect,
    pub(crate) now: Timestamp,
    pub(crate) strikes_max: u32,
    /// Failures of a host in trouble prove nothing about an invoice (protocol D13).
    pub(crate) breaker_closed: bool,
    pub(crate) proof: HostProof,
}

/// From the stored history alone, so that any worker goes on where another one stopped.
///
/// A number given back with an unanswered send behind it is looked up before another invoice takes it: the
/// request may have arrived since, and a person at KRA would see two sales under one number.
pub(crate) fn step(dialect: Dialect, holds_number: bool, history: &History) -> Step {
    // A VSCU cannot be asked, only told again (protocol D16).
    let can_ask = dialect != Dialect::Vscu;
    let open = if holds_number {
        history.unknown_since.is_some()
    } else {
        history.others_unknown
    };
    if open && can_ask {
        Step::LookUp
    } else if holds_number && !open && history.refused {
        Step::DeadLetter(Death {
            cause: DeadCause::Refused,
            strikes: history.strikes,
        })
    } else {
        Step::Send
    }
}

pub(crate) fn after_send(facts: &Facts, invoice: &LaneInvoice, outcome: &SendOutcome) -> AfterSend {
    let history = &invoice.history;
    let record = |word, settled, then| AfterSend::Record {
        word,
        settled,
        taken: false,
        refused: false,
        then,
    };
    let unknown = |then| record(SendResult::Unknown, false, then);
    match outcome {
        SendOutcome::Ok(receipt) => AfterSend::Accept(receipt.clone()),
        SendOutcome::NotSent(answer) => {
            let settled = history.unknown_since.is_none();
            record(SendResult::NotSent, settled, Then::Wait(answer.retry_after))
        }
        SendOutcome::Refused {
            answer,
            look_up_first,
        } => {
            let settled = !history.ever_unknown && !look_up_first;
            // An answer too vague to act on counts as none.
            let word = if *look_up_first {
                SendResult::Unknown
            } else {
                SendResult::Refused
            };
            let then = if settled || facts.dialect != Dialect::Vscu {
                Then::GoOn
            } else {
                Then::Halt(probably_accepted(invoice, answer))
            };
            AfterSend::Record {
                word,
                settled,
                taken: false,
                refused: true,
                then,
            }
        }
        SendOutcome::Retry(answer) => match answer.halts_if_repeated {
            Some(reason) if history.rounds + history.strikes + 1 >= ROUNDS_MAX => {
                unknown(Then::Halt(device_trouble(invoice.device, reason, answer)))
            }
            _ => unknown(Then::Wait(answer.retry_after)),
        },
        SendOutcome::Unknown(answer)
            if facts.dialect == Dialect::Vscu && unsettled(facts, history) =>
        {
            unknown(Then::Halt(probably_accepted(invoice, answer)))
        }
        SendOutcome::Unknown(answer) => unknown(Then::Wait(answer.retry_after)),
        SendOutcome::Taken(answer) => AfterSend::Record {
            word: SendResult::Unknown,
            settled: false,
            taken: true,
            refused: false,
            then: match facts.dialect {
                Dialect::Vscu => Then::Halt(probably_accepted(invoice, answer)),
                Dialect::Legacy | Dialect::Gateway => Then::GoOn,
            },
        },
        SendOutcome::Expected { expected, answer } => unknown(Then::Halt(resolve(
            invoice,
            &format!(
                "KRA expects invoice number {expected} and was sent {} ({answer})",
                invoice.invoice_no
            ),
        ))),
        SendOutcome::Halt { reason, answer } => {
            unknown(Then::Halt(device_trouble(invoice.device, *reason, answer)))
        }
    }
}

pub(crate) fn after_look_up(
    facts: &Facts,
    invoice: &LaneInvoice,
    outcome: &LookUpOutcome,
) -> AfterLookUp {
    match outcome {
        LookUpOutcome::Found(sale) => found(invoice, sale),
        LookUpOutcome::Absent(answer) => absent(facts, invoice, answer),
        LookUpOutcome::NoAnswer(_) if unsettled(facts, &invoice.history) => {
            AfterLookUp::Halt(resolve(
                invoice,
                "for an hour KRA did not tell whether it has the number",
            ))
        }
        LookUpOutcome::NoAnswer(answer) => AfterLookUp::Wait {
            nothing_learnt: true,
            at_least: answer.retry_after,
        },
        LookUpOutcome::Unsupported => AfterLookUp::Wait {
            nothing_learnt: true,
            at_least: None,
        },
        LookUpOutcome::Halt { reason, answer } => {
            AfterLookUp::Halt(device_trouble(invoice.device, *reason, answer))
        }
    }
}

fn found(invoice: &LaneInvoice, sale: &FoundSale) -> AfterLookUp {
    match sale.invoice_id() {
        _ if sale.invoice_no != invoice.invoice_no => AfterLookUp::Wait {
            nothing_learnt: true,
            at_least: None,
        },
        Some(id) if id != invoice.id => AfterLookUp::GiveTo(id, sale.receipt.clone()),
        Some(_) if sale.total.is_none_or(|total| total == invoice.total) => {
            AfterLookUp::Accept(sale.receipt.clone())
        }
        Some(_) => AfterLookUp::Halt(resolve(invoice, "KRA has our invoice with another amount")),
        None => AfterLookUp::Halt(foreign(invoice)),
    }
}

fn absent(facts: &Facts, invoice: &LaneInvoice, answer: &Answer) -> AfterLookUp {
    let history = &invoice.history;
    if let Some(since) = history.hidden_since {
        if facts.now.duration_since(since) < HIDDEN_MAX {
            return AfterLookUp::Wait {
                nothing_learnt: false,
                at_least: answer.retry_after,
            };
        }
        let what =
            "KRA says the number is taken, and for 15 minutes its look-ups have not shown it";
        return AfterLookUp::Halt(resolve(invoice, what));
    }
    if history.refused {
        return AfterLookUp::DeadLetter(Death {
            cause: DeadCause::Refused,
            strikes: history.strikes,
        });
    }
    let tally = count(facts, history);
    if tally.strikes >= facts.strikes_max {
        AfterLookUp::DeadLetter(Death {
            cause: DeadCause::Exhausted,
            strikes: tally.strikes,
        })
    } else if tally.rounds >= ROUNDS_MAX {
        AfterLookUp::Defer(tally)
    } else {
        AfterLookUp::Resend(tally)
    }
}

/// A strike is a failure while the host took another sale since the last one; any other is a round (D12).
fn count(facts: &Facts, history: &History) -> Tally {
    match history.strike_mark {
        Some(_) if facts.proof.took_another && facts.breaker_closed => Tally {
            strikes: history.strikes + 1,
            rounds: 0,
            mark: facts.now,
        },
        mark => Tally {
            strikes: history.strikes,
            rounds: history.rounds + 1,
            mark: mark.unwrap_or(facts.now),
        },
    }
}

fn unsettled(facts: &Facts, history: &History) -> bool {
    let long_ago = |since| facts.now.duration_since(since) >= UNKNOWN_MAX;
    facts.proof.answers && history.unknown_since.is_some_and(long_ago)
}

fn device_trouble(device: DeviceId, reason: HaltReason, answer: &Answer) -> String {
    format!(
        "{reason} ({answer}): mend it with `risiti-admin device update {device}`, or go on as it is with \
         `risiti-replay lanes resume {device}`"
    )
}

/// The number belongs to a sale that none of ours is.
pub(crate) fn foreign(invoice: &LaneInvoice) -> String {
    resolve(invoice, "the number holds a sale that is none of ours")
}

fn probably_accepted(invoice: &LaneInvoice, answer: &Answer) -> String {
    resolve(
        invoice,
        &format!("probably accepted, receipt lost ({answer})"),
    )
}

pub(crate) fn resolve(invoice: &LaneInvoice, what: &str) -> String {
    let (device, no) = (invoice.device, invoice.invoice_no);
    format!(
        "{what}: find out at KRA whose invoice {no} is, then `risiti-replay lanes resolve {device} --invoice-no {no}` \
         with --accepted, --not-accepted or --taken-elsewhere"
    )
}

#[cfg(test)]
mod tests;
