//! The envelopes around KRA's answers, in every shape seen.
//!
//! Legacy and VSCU put `resultCd` at the top. The gateway wraps it, refuses without one, and
//! reports faults in two more ways.

use crate::fields::Fields;

/// An answer without its wrapping.
pub(crate) struct Envelope<'a> {
    /// `resultCd`.
    pub(crate) code: Option<String>,
    /// The most specific text of the answer, unchanged.
    pub(crate) message: String,
    /// The inner `responseCode` where there is one, else the HTTP status. The gateway refuses under
    /// 200.
    pub(crate) status: u16,
    pub(crate) data: Option<Fields<'a>>,
}

impl<'a> Envelope<'a> {
    /// Reads a body. It is `None` for anything but a JSON object.
    pub(crate) fn read(http_status: u16, body: &'a [u8]) -> Option<Self> {
        let top = Fields::read(std::str::from_utf8(body).ok()?)?;
        let header = top
            .fields("responseHeader")
            .or_else(|| top.fields("header"));
        let status = header
            .as_ref()
            .and_then(|header| header.integer("responseCode"))
            .and_then(|code| u16::try_from(code).ok())
            .filter(|code| (100..600).contains(code))
            .unwrap_or(http_status);
        let message = message(&top, header.as_ref());
        let result = if top.text("resultCd").is_some() {
            Some(top)
        } else {
            top.fields("responseBody")
        };
        let code = result.as_ref().and_then(|result| result.text("resultCd"));
        let message = result
            .as_ref()
            .and_then(|result| result.text("resultMsg"))
            .unwrap_or(message);
        let data = result.and_then(|result| result.fields("data"));
        Some(Self {
            code,
            message,
            status,
            data,
        })
    }

    /// Success is "000". Integrators met the other spellings on the gateway.
    pub(crate) fn succeeded(&self) -> bool {
        matches!(self.code.as_deref(), Some("000" | "0" | "00" | "0000"))
    }

    pub(crate) fn found_nothing(&self) -> bool {
        matches!(self.code.as_deref(), Some("001" | "01" | "1"))
    }

    /// The gateway refused the access token, with 401 or with an Apigee fault, which was seen under
    /// HTTP 500.
    pub(crate) fn refuses_token(&self, http_status: u16) -> bool {
        let text = self.message.to_ascii_lowercase();
        self.code.is_none()
            && (http_status == 401
                || self.status == 401
                || (text.contains("access token")
                    && (text.contains("expired") || text.contains("invalid"))))
    }
}

/// `debugMessage` gives the reason, while `customerMessage` may be just "Validation failed". Programs
/// in front of KRA have names of their own.
fn message(top: &Fields<'_>, header: Option<&Fields<'_>>) -> String {
    header
        .and_then(|header| {
            ["debugMessage", "customerMessage", "responseMessage"]
                .iter()
                .find_map(|key| header.text(key))
        })
        .or_else(|| top.fields("fault")?.text("faultstring"))
        .or_else(|| {
            ["message", "detail", "error"]
                .iter()
                .find_map(|key| top.text(key))
        })
        .unwrap_or_default()
}
