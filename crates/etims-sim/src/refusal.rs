//! The refusal of a call: its code and text on each dialect, and whose mistake it was.

use serde::{Deserialize, Serialize};

use crate::branch::Branch;
use crate::config::Dialect;

/// Why a call was refused. Audits count refusals under these names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RefusalKind {
    /// A header, credential or device that is not right.
    Auth,
    /// A field that is missing, malformed or does not add up.
    Fields,
    /// An invoice number ahead of the next one.
    Sequence,
    /// An invoice number that another sale already has.
    Clash,
    /// A path, method or content type that does not exist.
    Protocol,
    /// The same sale sent again under its own accepted number. This is how a client recovers
    /// from a lost answer, so it is no mistake.
    Resend,
}

impl RefusalKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Fields => "fields",
            Self::Sequence => "sequence",
            Self::Clash => "clash",
            Self::Protocol => "protocol",
            Self::Resend => "resend",
        }
    }
}

/// Two sales that were sent under one number. Each is named by its remark, or by its trader number
/// where it has no remark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Clash {
    pub(crate) invoice_no: i64,
    pub(crate) refused: String,
    pub(crate) filed: String,
    pub(crate) filed_at: jiff::Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) kind: RefusalKind,
    /// `resultCd` on legacy and VSCU, and on the gateway where `coded_on_gateway` is set.
    pub(crate) code: String,
    /// `resultMsg`.
    pub(crate) message: String,
    /// `debugMessage` of the gateway.
    pub(crate) gateway_message: String,
    /// HTTP status of the gateway, which at times refuses under 200.
    pub(crate) gateway_status: u16,
    /// Whether the gateway answers with the code in `responseBody` instead of a bare text.
    pub(crate) coded_on_gateway: bool,
    /// Boxed, because clashes are rare and every `Result` would be as large.
    pub(crate) clash: Option<Box<Clash>>,
}

impl Refusal {
    pub(crate) fn new(
        kind: RefusalKind,
        code: &str,
        message: &str,
        gateway_message: String,
    ) -> Self {
        Self {
            kind,
            code: code.into(),
            message: message.into(),
            gateway_message,
            gateway_status: 400,
            coded_on_gateway: false,
            clash: None,
        }
    }

    /// A refusal with a code on every dialect.
    pub(crate) fn coded(kind: RefusalKind, code: &str, message: &str) -> Self {
        Self {
            coded_on_gateway: true,
            ..Self::new(kind, code, message, message.into())
        }
    }

    /// The refusal of a device that is not registered or whose key is wrong.
    pub(crate) fn invalid_device() -> Self {
        Self::coded(RefusalKind::Auth, "901", "It is not valid device")
    }

    /// A required field that is absent, null or empty.
    pub(crate) fn missing_field(field: &str, place: &str) -> Self {
        let message = format!("Request parameter error[<{field}> : may not be empty{place}]");
        let gateway_message = match place {
            "" => format!("{field} cannot be Null"),
            place => format!("Expected a value for {field}{place}"),
        };
        Self::new(RefusalKind::Fields, "910", &message, gateway_message)
    }

    /// A field whose value is not allowed.
    pub(crate) fn invalid_field(field: &str, place: &str, problem: &str) -> Self {
        let message = format!("Request parameter error[<{field}> : {problem}{place}]");
        let gateway_message = format!("Invalid {field}{place}: {problem}");
        Self::new(RefusalKind::Fields, "910", &message, gateway_message)
    }

    /// KRA's server failed over a null that it did not expect. The gateway says so under 400.
    pub(crate) fn server_fault(getter: &str) -> Self {
        let text = format!(
            "Expected a value but found null. Possible cause: Cannot invoke \"Object.equals(Object)\" \
             because the return value of \"{getter}()\" is null"
        );
        let message = "There is an unknown error. Please ask it administrator";
        Self::new(RefusalKind::Fields, "999", message, text)
    }

    /// What the caller reads in `dialect`.
    pub(crate) fn words(&self, dialect: Dialect) -> &str {
        match dialect {
            Dialect::Gateway if !self.coded_on_gateway => &self.gateway_message,
            _ => &self.message,
        }
    }

    /// A broken rule, in the gateway's own words.
    pub(crate) fn broken_rule(text: String) -> Self {
        let message = format!("Request parameter error[{text}]");
        Self::new(RefusalKind::Fields, "910", &message, text)
    }
}

/// One entry of `protocol_error_log`: a mistake that the client made.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct ProtocolError {
    pub(crate) at: jiff::Timestamp,
    pub(crate) path: String,
    pub(crate) device: Option<String>,
    pub(crate) mistake: String,
    pub(crate) code: String,
    pub(crate) message: String,
    /// A clash is a mistake only if the client had not yet given up the number. Only the client's
    /// own records tell when that was, so the audit compares the two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) clash: Option<Clash>,
}

impl ProtocolError {
    pub(crate) fn new(path: &str, branch: Option<&Branch>, refusal: &Refusal) -> Self {
        Self {
            at: jiff::Timestamp::now(),
            path: path.to_owned(),
            device: branch.map(ToString::to_string),
            mistake: refusal.kind.name().to_owned(),
            code: refusal.code.clone(),
            message: refusal.gateway_message.clone(),
            clash: refusal.clash.as_deref().cloned(),
        }
    }
}
