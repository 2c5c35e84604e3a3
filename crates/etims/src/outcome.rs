//! How a call to KRA can end, in terms that the lane can act on without knowing the wire format.

use risiti_domain::{InvoiceId, InvoiceKind};
use rust_decimal::Decimal;

use crate::answer::Answer;
use crate::classify::{Class, HaltReason};
use crate::receipt::Receipt;

/// How sending a sale or credit note ended.
///
/// Only `Ok`, `Refused`, `NotSent` and `OutOfStep` say whether the number is taken (protocol D7).
/// After every other outcome the number has to be looked up before anything is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendOutcome {
    /// Accepted, with a receipt number.
    Ok(Receipt),
    /// No byte of the request left, because there was no connection or no access token.
    NotSent(Answer),
    /// KRA will not accept this invoice as it is. With `look_up_first` the answer is too vague to
    /// give the number back without a look-up, even if no send before it was unknown.
    Refused { answer: Answer, look_up_first: bool },
    /// KRA did not accept it, and another try may succeed: too many requests, or stock missing.
    Retry(Answer),
    /// Nobody knows whether KRA accepted it.
    Unknown(Answer),
    /// The number is taken, most likely by this very invoice (protocol D9, on VSCU D16).
    Taken(Answer),
    /// The number is not taken, and KRA expects another one, which it may name (protocol D9).
    OutOfStep {
        expected: Option<i64>,
        answer: Answer,
    },
    /// The device, the credentials or the address are wrong. The lane stops, and nothing is a dead
    /// letter. An answer `against_host` may be the whole host's trouble instead.
    Halt { reason: HaltReason, answer: Answer },
}

/// How looking one number up ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookUpOutcome {
    Found(FoundSale),
    /// KRA says that it has no such number. Look-ups were seen to lag behind writes.
    Absent(Answer),
    /// The look-up showed nothing.
    NoAnswer(Answer),
    /// The dialect has no such call (VSCU, protocol D16).
    Unsupported,
    Halt {
        reason: HaltReason,
        answer: Answer,
    },
}

/// A sale as KRA stored it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundSale {
    pub invoice_no: i64,
    pub remark: Option<String>,
    pub kind: Option<InvoiceKind>,
    pub original_invoice_no: Option<i64>,
    pub total: Option<Decimal>,
    /// The number that the seller's own system gave it, as far as the answer shows one.
    pub trader_number: Option<String>,
    pub receipt: Receipt,
}

impl FoundSale {
    /// The invoice of ours that the remark names, if it names one.
    pub fn invoice_id(&self) -> Option<InvoiceId> {
        self.remark.as_deref()?.trim().parse().ok()
    }
}

/// Why a call other than a sale failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    #[error("not sent: {0}")]
    NotSent(Answer),
    #[error("no usable answer: {0}")]
    NoAnswer(Answer),
    #[error("refused: {0}")]
    Refused(Answer),
    #[error("{reason}: {answer}")]
    Halt { reason: HaltReason, answer: Answer },
}

impl SendOutcome {
    /// The label that metrics use: `ok`, `retry`, `refused`, `unknown` or `halt`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Ok(_) => "ok",
            Self::NotSent(_) | Self::Retry(_) => "retry",
            Self::Refused { .. } => "refused",
            Self::Unknown(_) | Self::Taken(_) => "unknown",
            Self::OutOfStep { .. } | Self::Halt { .. } => "halt",
        }
    }

    pub fn answer(&self) -> Option<&Answer> {
        match self {
            Self::Ok(_) => None,
            Self::NotSent(answer)
            | Self::Refused { answer, .. }
            | Self::Retry(answer)
            | Self::Unknown(answer)
            | Self::Taken(answer)
            | Self::OutOfStep { answer, .. }
            | Self::Halt { answer, .. } => Some(answer),
        }
    }

    /// Whether the number may be taken although no answer says so (protocol D7).
    pub fn leaves_number_unknown(&self) -> bool {
        !matches!(
            self,
            Self::Ok(_)
                | Self::NotSent(_)
                | Self::OutOfStep { .. }
                | Self::Refused {
                    look_up_first: false,
                    ..
                }
        )
    }
}

impl LookUpOutcome {
    /// What KRA said, or what went wrong instead.
    pub fn answer(&self) -> Option<&Answer> {
        match self {
            Self::Absent(answer) | Self::NoAnswer(answer) | Self::Halt { answer, .. } => {
                Some(answer)
            }
            Self::Found(_) | Self::Unsupported => None,
        }
    }

    /// The label that metrics use, as for sends. A look-up that found nothing counts as `ok`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Found(_) | Self::Absent(_) => "ok",
            Self::NoAnswer(_) => "unknown",
            Self::Unsupported => "refused",
            Self::Halt { .. } => "halt",
        }
    }
}

impl CallError {
    pub(crate) fn of_class(class: Class, answer: Answer) -> Self {
        match class {
            Class::Halt(reason) | Class::HostHalt(reason) => Self::Halt { reason, answer },
            Class::Refused { .. } => Self::Refused(answer),
            Class::Retry { .. } | Class::Unknown { .. } | Class::Taken | Class::OutOfStep(_) => {
                Self::NoAnswer(answer)
            }
        }
    }
}
