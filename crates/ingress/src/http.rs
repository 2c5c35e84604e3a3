//! The public listener, the bounds that hold before a handler runs, and the handler of all paths.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Instant;

use actix_web::dev::Server;
use actix_web::http::Method;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use risiti_service::BadSetting;

use crate::answer::Answer;
use crate::durable::DurableStore;
use crate::metrics::Outcome;
use crate::receive::Receiver;
use crate::refusal;
use crate::route::{RequestPath, Route};
use crate::tls::Certificate;

/// Connections that may wait to be accepted. The kernel lowers it to its `somaxconn`.
const BACKLOG: i32 = 4_096;

/// Binds the public address. An address that is taken or not ours is a bad setting. With a
/// certificate, the listener speaks TLS and nothing else. `durable` is called once on each worker
/// thread.
pub(crate) fn bind(
    receiver: Arc<Receiver>,
    durable: impl Fn() -> DurableStore + Clone + Send + 'static,
    certificate: Option<&Arc<Certificate>>,
    shutdown_seconds: u64,
) -> anyhow::Result<Server> {
    let settings = &receiver.http;
    let bad = |error: std::io::Error| {
        BadSetting::new(
            "--listen (RISITI_LISTEN)",
            format!("{}: {error}", settings.listen),
        )
    };
    let listener = TcpListener::bind(settings.listen).map_err(bad)?;
    // The standard library asks for 128. A burst beyond that loses handshakes, which costs its senders
    // seconds or their connection.
    rustix::net::listen(&listener, BACKLOG).map_err(|error| bad(error.into()))?;
    let address = listener.local_addr()?;

    let timeout = settings.body_timeout;
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    let state = web::Data::from(Arc::clone(&receiver));
    let server = HttpServer::new(move || {
        App::new()
            .app_data(state.clone())
            .app_data(web::Data::new(durable()))
            .default_service(web::to(handle))
    })
    .workers(workers)
    .max_connections(settings.connections_max.div_ceil(workers))
    .client_request_timeout(timeout)
    .tls_handshake_timeout(timeout)
    .shutdown_timeout(shutdown_seconds)
    .disable_signals();

    let server = match certificate {
        Some(certificate) => server.listen_rustls_0_23(listener, certificate.server_config())?,
        None => server.listen(listener)?,
    };
    let server = server.run();
    tracing::info!(
        tls = certificate.is_some(),
        "webhooks listener on {address}"
    );
    Ok(server)
}

async fn handle(
    request: HttpRequest,
    payload: web::Payload,
    receiver: web::Data<Receiver>,
    durable: web::Data<DurableStore>,
) -> HttpResponse {
    let started = Instant::now();
    let path = RequestPath::new(request.path());
    match path.route() {
        Some(route) if request.method() == Method::POST => {
            let provider = route.channel.provider();
            let (outcome, answer) =
                webhook(&request, &path, route, payload, &receiver, &durable).await;
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
            note_if_misaddressed(&request, &path, &receiver);
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
            if refused == Answer::UnknownPath {
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
