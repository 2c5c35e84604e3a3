//! The HTTP answers of each dialect: status, envelope, and the many shapes of the gateway.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::clock;
use crate::config::Dialect;
use crate::refusal::Refusal;
use crate::reply::Reply;

/// The whole answer of legacy and VSCU, and the `responseBody` of the gateway.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResultBody<'a> {
    result_cd: &'a str,
    result_msg: &'a str,
    result_dt: String,
    data: Option<&'a RawValue>,
}

fn result_body<'a>(code: &'a str, message: &'a str, data: Option<&'a RawValue>) -> ResultBody<'a> {
    ResultBody {
        result_cd: code,
        result_msg: message,
        result_dt: clock::compact(clock::now()),
        data,
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GatewayAnswer<'a> {
    response_header: GatewayHeader<'a>,
    response_body: Option<ResultBody<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GatewayHeader<'a> {
    response_code: u16,
    #[serde(rename = "responseRefID")]
    response_ref_id: &'a str,
    customer_message: &'a str,
    debug_message: &'a str,
}

/// Renders the answer to one call.
pub(crate) struct Renderer {
    pub(crate) dialect: Dialect,
    /// The gateway's id for the call.
    pub(crate) reference: String,
}

impl Renderer {
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
            Reply::Unauthorised => self.server_error(401, "Unauthorised-Invalid Access Token"),
            Reply::Unwired => self.unwired(),
            Reply::Full => self.server_error(503, "Service Unavailable"),
        }
    }

    fn success(&self, text: &str, data: &RawValue) -> HttpResponse {
        match self.dialect {
            Dialect::Gateway => self.gateway_answer(
                200,
                200,
                "Successful",
                Some(result_body("000", "Successful", Some(data))),
            ),
            _ => json_answer(200, &result_body("000", text, Some(data))),
        }
    }

    fn nothing(&self) -> HttpResponse {
        let body = result_body("001", "There is no search result", None);
        match self.dialect {
            Dialect::Gateway => self.gateway_answer(400, 200, "Successful", Some(body)),
            _ => json_answer(200, &body),
        }
    }

    fn refusal(&self, refusal: &Refusal) -> HttpResponse {
        match self.dialect {
            Dialect::Gateway if !refusal.coded_on_gateway => {
                self.refused(refusal.gateway_status, &refusal.gateway_message)
            }
            _ => self.coded(None, &refusal.code, &refusal.message),
        }
    }

    /// A refusal with a bare text. Its HTTP status may even be 200.
    pub(crate) fn refused(&self, status: u16, text: &str) -> HttpResponse {
        match self.dialect {
            Dialect::Gateway => self.gateway_answer(status, 400, text, None),
            _ => json_answer(
                200,
                &result_body("910", &format!("Request parameter error[{text}]"), None),
            ),
        }
    }

    /// A result code where the dialect puts it. Without `status` it has the usual HTTP status.
    pub(crate) fn coded(&self, status: Option<u16>, code: &str, message: &str) -> HttpResponse {
        let body = result_body(code, message, None);
        match self.dialect {
            Dialect::Gateway => {
                let status = status.unwrap_or(400);
                self.gateway_answer(status, status, message, Some(body))
            }
            _ => json_answer(status.unwrap_or(200), &body),
        }
    }

    fn gateway_answer(
        &self,
        status: u16,
        response_code: u16,
        text: &str,
        body: Option<ResultBody<'_>>,
    ) -> HttpResponse {
        let customer_message = if response_code == 200 {
            text
        } else {
            "Validation failed"
        };
        let response_header = GatewayHeader {
            response_code,
            response_ref_id: &self.reference,
            customer_message,
            debug_message: text,
        };
        json_answer(
            status,
            &GatewayAnswer {
                response_header,
                response_body: body,
            },
        )
    }

    /// Apigee's fault for a path that is not wired for the product of the app.
    pub(crate) fn unwired(&self) -> HttpResponse {
        let fault = json!({
            "faultstring": "Unresolved variable : targetPath",
            "detail": { "errorcode": "entities.UnresolvedVariable" },
        });
        json_answer(500, &json!({ "fault": fault }))
    }

    /// An error of the gateway itself, or of the web server in front of a legacy host.
    pub(crate) fn server_error(&self, status: u16, text: &str) -> HttpResponse {
        if self.dialect != Dialect::Gateway {
            return html(status, text);
        }
        let header = json!({
            "responseMessage": text,
            "responseCode": status,
            "customerMessage": text,
            "requestRefId": self.reference,
            "timestamp": clock::spaced(clock::now()),
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

fn status_code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
