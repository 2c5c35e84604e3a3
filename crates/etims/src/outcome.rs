//! How a call to KRA can end, told so that the lane can act on it without knowing the wire.

use std::fmt;

use crate::answer::Answer;
use crate::classify::Class;
use crate::look_up::FoundSale;
use crate::receipt::Receipt;

/// How sending a sale or credit note ended.
///
/// Only `Ok`, `Refused` and `NotSent` tell whether the number is taken (protocol D7). After every other
/// outcome the number has to be looked up before anything is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendOutcome {
    /// Accepted, with a receipt number.
    Ok(Receipt),
    /// No byte of the request left: no connection, or no token to be had.
    NotSent(Answer),
    /// This invoice will not be accepted as it is. `look_up_first`: the answer is too vague to give the
    /// number back without a look-up, even if no send before it was unknown.
    Refused { answer: Answer, look_up_first: bool },
    /// Answered, not accepted, and worth another try: too many requests, stock not there yet.
    Retry(Answer),
    /// Accepted or not: nobody knows.
    Unknown(Answer),
    /// The number is taken, most likely by this very invoice (protocol D9; on VSCU D16).
    Taken(Answer),
    /// KRA wants another number than this or the next one: the counters are out of step (protocol D9).
    Expected { expected: i64, answer: Answer },
    /// Device, credentials or address are wrong: stop the lane, dead-letter nothing.
    Halt { reason: HaltReason, answer: Answer },
}

/// Why a lane has to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HaltReason {
    /// Token, key, PIN or app refused, or missing in our settings.
    Credentials,
    /// KRA does not know the device as ours.
    Device,
    /// The address answers, but not as an eTIMS API.
    Address,
}

/// How asking for one number ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookUpOutcome {
    Found(FoundSale),
    /// KRA says it has no such number. Look-ups were seen to lag behind writes.
    Absent(Answer),
    /// Nothing learnt.
    NoAnswer(Answer),
    /// The dialect has no such call (VSCU, protocol D16).
    Unsupported,
    Halt {
        reason: HaltReason,
        answer: Answer,
    },
}

/// Why a call other than a sale brought nothing.
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
    /// The word for metrics: `ok`, `retry`, `refused`, `unknown`, `halt`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Ok(_) => "ok",
            Self::NotSent(_) | Self::Retry(_) => "retry",
            Self::Refused { .. } => "refused",
            Self::Unknown(_) | Self::Taken(_) => "unknown",
            Self::Expected { .. } | Self::Halt { .. } => "halt",
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
            | Self::Expected { answer, .. }
            | Self::Halt { answer, .. } => Some(answer),
        }
    }

    /// The number may be taken although nobody told us (protocol D7).
    pub fn leaves_number_unknown(&self) -> bool {
        !matches!(
            self,
            Self::Ok(_)
                | Self::NotSent(_)
                | Self::Refused {
                    look_up_first: false,
                    ..
                }
        )
    }
}

impl LookUpOutcome {
    /// The word for metrics, as for sends; a look-up that found nothing is `ok`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Found(_) | Self::Absent(_) => "ok",
            Self::NoAnswer(_) => "unknown",
            Self::Unsupported => "refused",
            Self::Halt { .. } => "halt",
        }
    }
}

impl HaltReason {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Credentials => "credentials refused",
            Self::Device => "device not valid",
            Self::Address => "no eTIMS API at this address",
        }
    }
}

impl fmt::Display for HaltReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl CallError {
    pub(crate) fn judged(class: Class, answer: Answer) -> Self {
        match class {
            Class::Halt(reason) => Self::Halt { reason, answer },
            Class::Refused { .. } => Self::Refused(answer),
            Class::Retry { .. } | Class::Unknown { .. } | Class::Taken | Class::Expected(_) => {
                Self::NoAnswer(answer)
            }
        }
    }
}
