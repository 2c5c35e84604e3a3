//! The HTTP entry of KRA's API: which call a request is, and whether its form is right.

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, web};
use rust_decimal::Decimal;

use crate::auth::Credentials;
use crate::connection::Connection;
use crate::faults::rule::CallDetails;
use crate::fields::Fields;
use crate::refusal::{Refusal, RefusalKind};
use crate::request::KraRequest;
use crate::routes::{self, Call};
use crate::simulator::Simulator;

/// Handles every path outside the control API.
pub(crate) async fn handle(
    request: HttpRequest,
    body: web::Bytes,
    simulator: web::Data<Simulator>,
) -> HttpResponse {
    let simulator = simulator.into_inner();
    let Some(connection) = request.conn_data::<Arc<Connection>>().cloned() else {
        return HttpResponse::InternalServerError().finish();
    };
    let dialect = simulator.config.dialect;
    let Some(call) = routes::find(dialect, request.path()) else {
        return refuse_form(&simulator, &request, 404, "no such path");
    };
    if let Some(answer) = check_form(&simulator, call, &request) {
        return answer;
    }

    let fields = Fields::of_body_or_empty(&body);
    let credentials = Credentials::read(dialect, call, request.headers(), &fields);
    let details = call_details(call, &credentials, &fields);
    let request = KraRequest {
        call,
        path: request.path().to_owned(),
        query: request.query_string().to_owned(),
        headers: request.headers().clone(),
        body,
        credentials,
    };

    let in_flight = simulator.traffic.begin_call(
        call,
        &request.path,
        details.branch.clone(),
        connection.clone(),
    );
    let plan = simulator.fault_script().plan(&details);
    // It goes on in a task of its own, because actix drops the handler of a caller that goes away.
    let call = actix_web::rt::spawn(async move {
        let answer = simulator
            .handle_with_faults(Arc::new(request), plan, &connection, &in_flight)
            .await;
        // The call ends before its answer leaves, because the client may call again at once.
        drop(in_flight);
        answer
    });
    call.await
        .unwrap_or_else(|_| HttpResponse::InternalServerError().finish())
}

/// Answers a request that only a wrong configuration sends. Every dialect says it by the status.
fn refuse_form(
    simulator: &Simulator,
    request: &HttpRequest,
    status: u16,
    text: &str,
) -> HttpResponse {
    let refusal = Refusal::new(
        RefusalKind::Protocol,
        &status.to_string(),
        text,
        text.to_owned(),
    );
    simulator
        .traffic
        .count_refusal(request.path(), None, &refusal);
    simulator.renderer().server_error(status, text)
}

/// The answer to a request with a wrong method or content type, or `None` if both are right.
fn check_form(simulator: &Simulator, call: Call, request: &HttpRequest) -> Option<HttpResponse> {
    match (call, request.method()) {
        (Call::Token, &Method::GET) => return None,
        // Seen live: a POST for a token is answered with an empty body.
        (Call::Token, &Method::POST) => return Some(HttpResponse::Ok().finish()),
        (_, &Method::POST) => {}
        _ => {
            let answer = refuse_form(simulator, request, 405, "method not allowed");
            return Some(answer);
        }
    }

    let content_type = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default();
    if media_type.trim() == "application/json" {
        return None;
    }
    let text = "content type must be application/json";
    Some(refuse_form(simulator, request, 415, text))
}

/// What fault rules may match of a call. Only a sale has a remark, trader number and amount.
fn call_details(call: Call, credentials: &Credentials, fields: &Fields<'_>) -> CallDetails {
    let sale = call == Call::Sale;
    let text = |name| fields.text_or_number(name, 400).ok().filter(|_| sale);
    let amount = fields
        .raw("totAmt")
        .and_then(|raw| Decimal::from_str_exact(raw.get()).ok())
        .filter(|_| sale);
    CallDetails {
        call,
        branch: credentials.branch.clone(),
        remark: text("remark"),
        trader_number: text("trdInvcNo"),
        amount,
    }
}
