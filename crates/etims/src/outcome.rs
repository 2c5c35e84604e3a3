//! How a call to KRA can end, told so that the lane can act on it without knowing the wire.

use std::fmt;
use std::time::Duration;

use risiti_domain::{InvoiceId, InvoiceKind};
use rust_decimal::Decimal;
use secrecy::SecretString;

use crate::classify::Class;
use crate::envelope::Envelope;
use crate::http::HttpAnswer;
use crate::receipt::Receipt;
use crate::text;

/// KRA names no time for code 990; integrators call for a long one.
const TOO_MANY_VIEWS_PAUSE: Duration = Duration::from_secs(5 * 60);

/// What was said, or what went wrong in its place. Safe to store and to log: bounded, without control
/// characters, phone numbers or credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// KRA's result code; the gateway's refusals have none.
    pub code: Option<String>,
    pub message: String,
    pub http_status: Option<u16>,
    /// How long the host asked to be left alone, at most a day.
    pub retry_after: Option<Duration>,
    /// The trouble is the host's rather than this invoice's: it counts against the breaker (protocol D12).
    pub against_host: bool,
    /// An answer worth another try that, when it stays, means this about the device.
    pub halts_if_repeated: Option<HaltReason>,
}

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

/// A sale as KRA stored it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundSale {
    pub invoice_no: i64,
    pub remark: Option<String>,
    pub kind: Option<InvoiceKind>,
    pub original_invoice_no: Option<i64>,
    pub total: Option<Decimal>,
    pub receipt: Receipt,
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

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InitialiseError {
    /// KRA hands the key out once and never again.
    #[error("device is installed already, its key has to come from where it was installed: {0}")]
    AlreadyInstalled(Answer),
    #[error(transparent)]
    Call(#[from] CallError),
}

/// What initialisation hands out, once.
#[derive(Clone, Debug)]
pub struct Initialised {
    /// `None` from a VSCU, which keeps it.
    pub cmc_key: Option<SecretString>,
    pub sdc_id: Option<String>,
    pub mrc_no: Option<String>,
    pub device_id: Option<String>,
    pub taxpayer_name: Option<String>,
    /// KRA's whole answer, for keeping; `Initialised::read` reads it again.
    pub answer: SecretString,
}

/// KRA's code lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CodeList {
    pub classes: Vec<CodeClass>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeClass {
    /// `cdCls`, e.g. `04` for tax types.
    pub code: String,
    pub name: String,
    pub values: Vec<CodeValue>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeValue {
    pub code: String,
    pub name: String,
    /// `userDfnCd1`; the rate, for tax types.
    pub extra: Option<String>,
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
        !matches!(self, Self::Ok(_) | Self::NotSent(_) | Self::Refused { look_up_first: false, .. })
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

impl FoundSale {
    /// The invoice of ours that the remark names, if it names one.
    pub fn invoice_id(&self) -> Option<InvoiceId> {
        self.remark.as_deref()?.trim().parse().ok()
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

impl Answer {
    /// What was said, with what its class tells about the host.
    pub(crate) fn judged(
        secrets: &[&str],
        http: &HttpAnswer,
        envelope: Option<&Envelope<'_>>,
        class: Class,
    ) -> Self {
        let (against_host, halts_if_repeated) = match class {
            Class::Unknown { against_host } => (against_host, None),
            Class::Retry { against_host, halts_if_repeated } => (against_host, halts_if_repeated),
            Class::Refused { .. } | Class::Taken | Class::Expected(_) | Class::Halt(_) => (false, None),
        };
        let code = envelope.and_then(|envelope| envelope.code.as_deref()).map(text::code);
        let too_many_views = code.as_deref() == Some("990");
        Self {
            message: match envelope {
                Some(envelope) => text::message_without(secrets, &envelope.message),
                None => format!("{} bytes that are no JSON object", http.body.len()),
            },
            http_status: Some(http.status),
            retry_after: http.retry_after.or(too_many_views.then_some(TOO_MANY_VIEWS_PAUSE)),
            code,
            against_host,
            halts_if_repeated,
        }
    }

    /// For what never became an answer.
    pub(crate) fn none(message: &str, against_host: bool) -> Self {
        Self { message: text::message(message), against_host, ..Self::default() }
    }

    pub(crate) fn with_message(self, message: &str) -> Self {
        Self { message: message.to_owned(), ..self }
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

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.code, self.http_status) {
            (Some(code), _) => write!(f, "{code} {}", self.message),
            (None, Some(status)) => write!(f, "HTTP {status} {}", self.message),
            (None, None) => f.write_str(&self.message),
        }
    }
}
