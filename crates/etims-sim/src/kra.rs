//! The door: which call a request is, and whether it comes in the right manner.

use crate::auth::Claim;
use crate::faults::Subject;
use crate::fields::Fields;
use crate::refusal::{Mistake, Refusal};
use crate::routes::{self, Call};
use crate::server::Authority;
use crate::wire::Wire;
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
    pub(crate) claim: Claim,
}

/// The door: every path outside the control API.
pub(crate) async fn answer(
    request: HttpRequest,
    body: web::Bytes,
    authority: web::Data<Authority>,
) -> HttpResponse {
    let authority = authority.into_inner();
    let Some(wire) = request.conn_data::<Arc<Wire>>().cloned() else {
        return HttpResponse::InternalServerError().finish();
    };
    let config = &authority.config;
    let Some(call) = routes::find(config.dialect, request.path()) else {
        return stranger(&authority, &request, 404, "no such path");
    };
    if let Some(refused) = wrong_manner(&authority, call, &request) {
        return refused;
    }
    let fields = Fields::lenient(&body);
    let claim = Claim::of(config.dialect, call, request.headers(), &fields);
    let subject = subject(call, &claim, &fields);
    let request = Request {
        call,
        path: request.path().to_owned(),
        query: request.query_string().to_owned(),
        headers: request.headers().clone(),
        body,
        claim,
    };
    let in_flight =
        authority
            .traffic
            .enter(call, &request.path, subject.branch.clone(), wire.clone());
    let plan = authority.faults().plan(&subject);
    let answer = authority
        .clone()
        .perform(Arc::new(request), plan, &wire)
        .await;
    // Before the answer leaves: its receiver may call again at once.
    drop(in_flight);
    answer
}

/// The simulated KRA has one voice for what only a wrong configuration asks: the status.
fn stranger(authority: &Authority, request: &HttpRequest, status: u16, text: &str) -> HttpResponse {
    let refusal = Refusal::new(
        Mistake::Protocol,
        &status.to_string(),
        text,
        text.to_owned(),
    );
    authority.traffic.note(request.path(), None, &refusal);
    authority.envelope().fault(status, text)
}

fn wrong_manner(authority: &Authority, call: Call, request: &HttpRequest) -> Option<HttpResponse> {
    match (call, request.method()) {
        (Call::Token, &Method::GET) => return None,
        // Seen live: a POST for a token is answered with nothing at all.
        (Call::Token, &Method::POST) => return Some(HttpResponse::Ok().finish()),
        (_, &Method::POST) => {}
        _ => return Some(stranger(authority, request, 405, "method not allowed")),
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
            authority,
            request,
            415,
            "content type must be application/json",
        )
    })
}

fn subject(call: Call, claim: &Claim, fields: &Fields<'_>) -> Subject {
    let text = |name| fields.loose_text(name, 400).ok();
    let sale = call == Call::Sale;
    Subject {
        call,
        branch: claim.branch.clone(),
        remark: text("remark").filter(|_| sale),
        trader_no: text("trdInvcNo").filter(|_| sale),
        amount: fields
            .raw("totAmt")
            .and_then(|raw| Decimal::from_str_exact(raw.get()).ok())
            .filter(|_| sale),
    }
}
