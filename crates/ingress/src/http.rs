//! The public listener, the bounds that hold before a handler runs, and the handler of all paths.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Instant;

use actix_server::Server;
use actix_web::http::{ConnectionType, Method, StatusCode};
use actix_web::{App, HttpRequest, HttpResponse, web};
use risiti_service::BadSetting;

use crate::answer::Answer;
use crate::connection::{self, Connection, HeadRefusal, Listener};
use crate::durable::DurableStore;
use crate::metrics::Outcome;
use crate::receive::Receiver;
use crate::refusal;
use crate::route::{RequestPath, Route};

/// Connections that may wait to be accepted. The kernel lowers it to its `somaxconn`.
const BACKLOG: i32 = 4_096;

/// Binds the public address. An address that is taken or not ours is a bad setting. `durable` is
/// called once on each worker thread.
pub(crate) fn bind(
    receiver: Arc<Receiver>,
    durable: impl Fn() -> DurableStore + Clone + Send + 'static,
    listener: Listener,
) -> anyhow::Result<Server> {
    let settings = &receiver.http;
    let bad = |error: std::io::Error| {
        BadSetting::new(
            "--listen (RISITI_LISTEN)",
            format!("{}: {error}", settings.listen),
        )
    };
    let socket = TcpListener::bind(settings.listen).map_err(bad)?;
    // The standard library asks for 128. A burst beyond that loses handshakes, which costs its senders
    // seconds or their connection.
    rustix::net::listen(&socket, BACKLOG).map_err(|error| bad(error.into()))?;
    let address = socket.local_addr()?;

    let state = web::Data::from(Arc::clone(&receiver));
    let tls = listener.tls.is_some();
    let server = connection::serve(socket, listener, move || {
        App::new()
            .app_data(state.clone())
            .app_data(web::Data::new(durable()))
            .default_service(web::to(handle))
    })?;
    tracing::info!(tls, "webhooks listener on {address}");
    Ok(server)
}

async fn handle(
    request: HttpRequest,
    payload: web::Payload,
    receiver: web::Data<Receiver>,
    durable: web::Data<DurableStore>,
) -> HttpResponse {
    let connection = request.conn_data::<Arc<Connection>>();
    let refusal = connection.and_then(|connection| connection.refusal());
    let mut response = match refusal {
        Some(refusal) => {
            receiver.metrics.connections.refused_head(refusal);
            refusal::close_after(answer_to_head(refusal).refuse(), payload)
        }
        None => answer(&request, payload, &receiver, &durable).await,
    };
    if is_failed_attempt(response.status()) {
        receiver.note_failed_attempt(&request);
    }
    if let Some(connection) = connection {
        if connection.is_over() {
            response
                .head_mut()
                .set_connection_type(ConnectionType::Close);
        }
        let closes = response.head().connection_type() == ConnectionType::Close;
        connection.answered(closes);
    }
    response
}

/// Whether the sender could not show that it may send here. It tries out secrets, slugs or
/// signatures, or is set up wrongly.
fn is_failed_attempt(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND
    )
}

/// The answer to a request whose head was not taken.
fn answer_to_head(refusal: HeadRefusal) -> Answer {
    match refusal {
        HeadRefusal::Malformed => Answer::MalformedHead,
        HeadRefusal::TooLarge => Answer::HeadTooLarge,
        HeadRefusal::TooSlow => Answer::TooSlow,
    }
}

async fn answer(
    request: &HttpRequest,
    payload: web::Payload,
    receiver: &Receiver,
    durable: &Arc<DurableStore>,
) -> HttpResponse {
    let started = Instant::now();
    let path = RequestPath::new(request.path());
    match path.route() {
        Some(route) if request.method() == Method::POST => {
            let provider = route.channel.provider();
            let (outcome, answer) =
                webhook(request, &path, route, payload, receiver, durable).await;
            receiver
                .metrics
                .webhook(provider, outcome, started.elapsed());
            answer
        }
        Some(route) => {
            let answer = Answer::MethodNotAllowed;
            let provider = route.channel.provider();
            receiver
                .metrics
                .webhook(provider, answer.outcome(), started.elapsed());
            refusal::close_after(answer.refuse(), payload)
        }
        None => {
            note_if_misaddressed(request, &path, receiver);
            refusal::close_after(Answer::UnknownPath.refuse(), payload)
        }
    }
}

async fn webhook(
    request: &HttpRequest,
    path: &RequestPath<'_>,
    route: Route,
    mut payload: web::Payload,
    receiver: &Receiver,
    durable: &Arc<DurableStore>,
) -> (Outcome, HttpResponse) {
    let Route { channel, address } = route;
    let answer = receiver
        .receive(request, &mut payload, channel, address, durable)
        .await;
    let outcome = answer.outcome();
    let response = match answer {
        Answer::Accepted | Answer::Spooled | Answer::Duplicate | Answer::Unreadable { .. } => {
            answer.respond(channel)
        }
        refused => {
            if matches!(refused, Answer::UnknownPath | Answer::Unauthenticated) {
                note_if_misaddressed(request, path, receiver);
            }
            refusal::close_after(refused.refuse(), payload)
        }
    };
    (outcome, response)
}

/// Raises the alarm when a request that is refused has a path secret that ended. The merchant's
/// gateway still posts to the address from before the last rotation.
fn note_if_expired(path: &RequestPath<'_>, receiver: &Receiver) {
    let expired = path
        .possible_secrets()
        .find_map(|segment| receiver.merchants.slug_of_expired_secret(segment));
    if let Some((merchant, ended_at)) = expired {
        receiver.metrics.expired_secret(&merchant);
        tracing::error!(
            %merchant,
            %ended_at,
            "a webhook to an expired path secret was refused: \
             register the address with the current secret at the gateway"
        );
    }
}

/// Raises the alarm when a request that is refused has the right path secret of some merchant. It
/// may be a webhook that will not come again. A look at an address with a browser is none.
fn note_if_misaddressed(request: &HttpRequest, path: &RequestPath<'_>, receiver: &Receiver) {
    if [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method()) {
        return;
    }
    let Some(merchant) = path
        .possible_secrets()
        .find_map(|segment| receiver.merchants.slug_of_secret(segment))
    else {
        note_if_expired(path, receiver);
        return;
    };

    receiver.metrics.misaddressed(path.provider());
    tracing::error!(
        %merchant,
        path = path.shown(),
        "a request with a right path secret was lost: \
         nothing is served there, or the merchant has no account of this provider"
    );
}
