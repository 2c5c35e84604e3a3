//! Why a call was not done: the code and text of the legacy fronts, the text of the gateway,
//! and whether it was the client's mistake.

use serde::{Deserialize, Serialize};

/// What kind of mistake a refusal points at; audits count them by this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mistake {
    /// A header, credential or device that is not right.
    Auth,
    /// A field that is missing, malformed or does not add up.
    Fields,
    /// An invoice number ahead of the next one.
    Sequence,
    /// An invoice number already given to *another* sale.
    Clash,
    /// A path, method or content type that does not exist.
    Protocol,
    /// The same sale under its own accepted number again: how a lost answer is survived.
    None,
}

impl Mistake {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Fields => "fields",
            Self::Sequence => "sequence",
            Self::Clash => "clash",
            Self::Protocol => "protocol",
            Self::None => "resend",
        }
    }
}

/// Two sales that met under one number: by their remarks, or trader numbers where they have none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Clash {
    pub(crate) invoice_no: i64,
    pub(crate) refused: String,
    pub(crate) filed: String,
    pub(crate) filed_at: jiff::Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) mistake: Mistake,
    /// `resultCd` on legacy and VSCU, and on the gateway where `coded` is set.
    pub(crate) code: String,
    /// `resultMsg`.
    pub(crate) message: String,
    /// `debugMessage` of the gateway.
    pub(crate) gateway: String,
    /// The gateway gives the code in `responseBody` instead of a bare text.
    pub(crate) coded: bool,
    /// On the heap, as it is rare and every error would be as large.
    pub(crate) clash: Option<Box<Clash>>,
}

impl Refusal {
    pub(crate) fn new(mistake: Mistake, code: &str, message: &str, gateway: String) -> Self {
        Self {
            mistake,
            code: code.into(),
            message: message.into(),
            gateway,
            coded: false,
            clash: None,
        }
    }

    pub(crate) fn coded(mistake: Mistake, code: &str, message: &str) -> Self {
        Self {
            coded: true,
            ..Self::new(mistake, code, message, message.into())
        }
    }

    /// A required field that is absent, null or empty.
    pub(crate) fn empty(field: &str, place: &str) -> Self {
        let message = format!("Request parameter error[<{field}> : may not be empty{place}]");
        let gateway = match place {
            "" => format!("{field} cannot be Null"),
            place => format!("Expected a value for {field}{place}"),
        };
        Self::new(Mistake::Fields, "910", &message, gateway)
    }

    pub(crate) fn field(field: &str, place: &str, problem: &str) -> Self {
        let message = format!("Request parameter error[<{field}> : {problem}{place}]");
        Self::new(
            Mistake::Fields,
            "910",
            &message,
            format!("Invalid {field}{place}: {problem}"),
        )
    }

    /// A rule broken, in the gateway's own words.
    pub(crate) fn rule(text: String) -> Self {
        Self::new(
            Mistake::Fields,
            "910",
            &format!("Request parameter error[{text}]"),
            text,
        )
    }
}
