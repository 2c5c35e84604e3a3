//! The door: which call a request is, and whether it comes in the right manner.

use crate::auth::Credentials;
use crate::connection::Connection;
use crate::fault_script::CallDetails;
use crate::fields::Fields;
use crate::refusal::{Mistake, Refusal};
use crate::routes::{self, Call};
use crate::server::Simulator;
use actix_web::http::Method;
use actix_web::http::header::{CONTENT_TYPE, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, web};
use rust_decimal::Decimal;
use std::sync::Arc;

/// A request read, and whom it claims to come from.
pub(crate) struct Request {
    pub(crate) call: Call,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: web::Bytes,
    pub(crate) credentials: Credentials,
}

/// The door: every path outside the control API.
pub(crate) async fn answer(
    request: HttpRequest,
    body: web::Bytes,
    simulator: web::Data<Simulator>,
) -> HttpResponse {
    let simulator = simulator.into_inner();
    let Some(connection) = request.conn_data::<Arc<Connection>>().cloned() else {
        return HttpResponse::InternalServerError().finish();
    };
    let config = &simulator.config;
    let Some(call) = routes::find(config.dialect, request.path()) else {
        return stranger(&simulator, &request, 404, "no such path");
    };
    if let Some(refused) = wrong_manner(&simulator, call, &request) {
        return refused;
    }
    let fields = Fields::lenient(&body);
    let credentials = Credentials::of(config.dialect, call, request.headers(), &fields);
    let details = details(call, &credentials, &fields);
    let request = Request {
        call,
        path: request.path().to_owned(),
        query: request.query_string().to_owned(),
        headers: request.headers().clone(),
        body,
        credentials,
    };
    let in_flight = simulator.traffic.enter(
        call,
        &request.path,
        details.branch.clone(),
        connection.clone(),
    );
    let plan = simulator.fault_script().plan(&details);
    let answer = simulator
        .clone()
        .perform(Arc::new(request), plan, &connection)
        .await;
    // Before the answer leaves: its receiver may call again at once.
    drop(in_flight);
    answer
}

/// The simulated KRA has one voice for what only a wrong configuration asks: the status.
fn stranger(simulator: &Simulator, request: &HttpRequest, status: u16, text: &str) -> HttpResponse {
    let refusal = Refusal::new(
        Mistake::Protocol,
        &status.to_string(),
        text,
        text.to_owned(),
    );
    simulator.traffic.note(request.path(), None, &refusal);
    simulator.envelope().fault(status, text)
}

fn wrong_manner(simulator: &Simulator, call: Call, request: &HttpRequest) -> Option<HttpResponse> {
    match (call, request.method()) {
        (Call::Token, &Method::GET) => return None,
        // Seen live: a POST for a token is answered with nothing at all.
        (Call::Token, &Method::POST) => return Some(HttpResponse::Ok().finish()),
        (_, &Method::POST) => {}
        _ => return Some(stranger(simulator, request, 405, "method not allowed")),
    }
    let content_type = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let json = content_type
        .split(';')
        .next()
        .is_some_and(|kind| kind.trim() == "application/json");
    (!json).then(|| {
        stranger(
            simulator,
            request,
            415,
            "content type must be application/json",
        )
    })
}

fn details(call: Call, credentials: &Credentials, fields: &Fields<'_>) -> CallDetails {
    let text = |name| fields.loose_text(name, 400).ok();
    let sale = call == Call::Sale;
    CallDetails {
        call,
        branch: credentials.branch.clone(),
        remark: text("remark").filter(|_| sale),
        trader_number: text("trdInvcNo").filter(|_| sale),
        amount: fields
            .raw("totAmt")
            .and_then(|raw| Decimal::from_str_exact(raw.get()).ok())
            .filter(|_| sale),
    }
}
