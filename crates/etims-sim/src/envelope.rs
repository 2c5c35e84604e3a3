//! How each dialect wraps what happened: status, envelope, and the gateway's many shapes.

use crate::clock;
use crate::config::Dialect;
use crate::refusal::Refusal;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

/// What came of a call, before any dialect puts it into words.
#[derive(Debug)]
pub(crate) enum Reply {
    Done(Box<RawValue>),
    /// A look-up that found something: the one success whose legacy text differs.
    Found(Box<RawValue>),
    /// Code 001.
    Nothing,
    Refused(Refusal),
    /// A gateway token, with its life in seconds.
    Token(String, u64),
    /// The token is missing, unknown or expired.
    Unauthorised,
    /// The records are full.
    Full,
}

impl Reply {
    pub(crate) fn done(data: &impl Serialize) -> Self {
        // Maps with string keys and numbers always serialise.
        Self::Done(to_raw_value(data).expect("plain data serialises"))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Flat<'a> {
    result_cd: &'a str,
    result_msg: &'a str,
    result_dt: String,
    data: Option<&'a RawValue>,
}

fn flat<'a>(code: &'a str, message: &'a str, data: Option<&'a RawValue>) -> Flat<'a> {
    Flat {
        result_cd: code,
        result_msg: message,
        result_dt: clock::compact(clock::now()),
        data,
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wrapped<'a> {
    response_header: Header<'a>,
    response_body: Option<Flat<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Header<'a> {
    response_code: u16,
    #[serde(rename = "responseRefID")]
    response_ref_id: &'a str,
    customer_message: &'a str,
    debug_message: &'a str,
}

/// Renders replies for one call; `reference` is the gateway's id for it.
pub(crate) struct Envelope {
    pub(crate) dialect: Dialect,
    pub(crate) reference: String,
}

impl Envelope {
    pub(crate) fn render(&self, reply: &Reply) -> HttpResponse {
        match reply {
            Reply::Done(data) => self.success("It is succeeded", data),
            Reply::Found(data) => self.success("Successful", data),
            Reply::Nothing => self.nothing(),
            Reply::Refused(refusal) => self.refusal(refusal),
            Reply::Token(token, seconds) => json_answer(
                200,
                &json!({"access_token": token, "expires_in": seconds.to_string()}),
            ),
            Reply::Unauthorised => self.fault(401, "Unauthorised-Invalid Access Token"),
            Reply::Full => self.fault(503, "Service Unavailable"),
        }
    }

    fn success(&self, text: &str, data: &RawValue) -> HttpResponse {
        match self.dialect {
            Dialect::Gateway => self.wrapped(
                200,
                200,
                "Successful",
                Some(flat("000", "Successful", Some(data))),
            ),
            _ => json_answer(200, &flat("000", text, Some(data))),
        }
    }

    fn nothing(&self) -> HttpResponse {
        let body = flat("001", "There is no search result", None);
        match self.dialect {
            Dialect::Gateway => self.wrapped(400, 200, "Successful", Some(body)),
            _ => json_answer(200, &body),
        }
    }

    fn refusal(&self, refusal: &Refusal) -> HttpResponse {
        match self.dialect {
            Dialect::Gateway if !refusal.coded => self.refused(400, &refusal.gateway),
            _ => self.coded(None, &refusal.code, &refusal.message),
        }
    }

    /// A bare text refusal, whose HTTP status may lie (200).
    pub(crate) fn refused(&self, status: u16, text: &str) -> HttpResponse {
        match self.dialect {
            Dialect::Gateway => self.wrapped(status, 400, text, None),
            _ => json_answer(
                200,
                &flat("910", &format!("Request parameter error[{text}]"), None),
            ),
        }
    }

    /// A result code where the dialect puts it, by default under the HTTP status it uses.
    pub(crate) fn coded(&self, status: Option<u16>, code: &str, message: &str) -> HttpResponse {
        let body = flat(code, message, None);
        match self.dialect {
            Dialect::Gateway => {
                let status = status.unwrap_or(400);
                self.wrapped(status, status, message, Some(body))
            }
            _ => json_answer(status.unwrap_or(200), &body),
        }
    }

    fn wrapped(&self, status: u16, inner: u16, text: &str, body: Option<Flat<'_>>) -> HttpResponse {
        let customer_message = if inner == 200 {
            text
        } else {
            "Validation failed"
        };
        let response_header = Header {
            response_code: inner,
            response_ref_id: &self.reference,
            customer_message,
            debug_message: text,
        };
        json_answer(
            status,
            &Wrapped {
                response_header,
                response_body: body,
            },
        )
    }

    /// A fault of the gateway itself, or of the web server in front of a legacy host.
    pub(crate) fn fault(&self, status: u16, text: &str) -> HttpResponse {
        if self.dialect != Dialect::Gateway {
            return html(status, text);
        }
        let header = json!({
            "responseMessage": text, "responseCode": status, "customerMessage": text,
            "requestRefId": self.reference, "timestamp": clock::spaced(clock::now()),
        });
        json_answer(status, &json!({"header": header, "body": {}}))
    }
}

pub(crate) fn html(status: u16, text: &str) -> HttpResponse {
    let page =
        format!("<html><head><title>{status}</title></head><body><h1>{text}</h1></body></html>");
    HttpResponse::build(status_code(status))
        .content_type("text/html; charset=utf-8")
        .body(page)
}

pub(crate) fn json_answer(status: u16, body: &impl Serialize) -> HttpResponse {
    HttpResponse::build(status_code(status)).json(body)
}

/// Ends the keys of receipt numbers with a blank, as the sample of KRA's specification does.
pub(crate) fn pad_keys(data: &RawValue) -> Box<RawValue> {
    let text = data
        .get()
        .replace("\"curRcptNo\":", "\"curRcptNo \":")
        .replace("\"totRcptNo\":", "\"totRcptNo \":");
    RawValue::from_string(text).expect("renaming a key keeps JSON whole")
}

fn status_code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// A control answer's error.
pub(crate) fn problem(status: u16, detail: &str) -> HttpResponse {
    json_answer(status, &json!({ "error": detail }))
}
