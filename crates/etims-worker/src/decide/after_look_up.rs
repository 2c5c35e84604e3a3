//! What follows from KRA's answer to a look-up (protocol D8, D9, D12).

use std::time::Duration;

use risiti_domain::{DeadCause, InvoiceId};
use risiti_etims::{Answer, FoundSale, LookUpOutcome, Receipt};
use risiti_ledger::{FailureCount, HIDDEN_MAX, History, LaneInvoice};

use super::{GivenUp, ROUNDS_MAX, Situation, may_be_the_hosts, unknown_for_an_hour};
use crate::halt_reasons::{Halt, foreign_sale, needs_device_fix, needs_resolving};

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
