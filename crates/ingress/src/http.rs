//! The public listener, its routes, and the bounds that hold before a handler runs.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Instant;

use actix_web::dev::Server;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use risiti_providers::Channel;
use risiti_service::BadSetting;

use crate::answer::Answer;
use crate::merchants::Address;
use crate::receive::Receiver;
use crate::refusal;
use crate::tls::Certificate;

/// Binds the public address. An address that is taken or not ours is a bad setting. With a
/// certificate, the listener speaks TLS and nothing else.
pub(crate) fn bind(
    receiver: Arc<Receiver>,
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
    let address = listener.local_addr()?;

    let timeout = settings.body_timeout;
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    let state = web::Data::from(Arc::clone(&receiver));
    let server = HttpServer::new(move || App::new().app_data(state.clone()).configure(routes))
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

fn routes(app: &mut web::ServiceConfig) {
    for (path, channel) in [
        ("/webhooks/daraja/{key}/stk", Channel::DarajaStk),
        (
            "/webhooks/daraja/{key}/c2b/confirmation",
            Channel::DarajaC2bConfirmation,
        ),
        (
            "/webhooks/daraja/{key}/c2b/validation",
            Channel::DarajaC2bValidation,
        ),
        ("/webhooks/daraja/{key}/result", Channel::DarajaResult),
        ("/webhooks/daraja/{key}/timeout", Channel::DarajaTimeout),
        ("/webhooks/gumroad/{key}", Channel::Gumroad),
        ("/webhooks/paystack/{key}", Channel::Paystack),
    ] {
        let handler = move |request: HttpRequest,
                            key: web::Path<String>,
                            payload: web::Payload,
                            receiver: web::Data<Receiver>| {
            webhook(request, key.into_inner(), payload, receiver, channel)
        };
        app.service(
            web::resource(path)
                .route(web::post().to(handler))
                .default_service(web::to(wrong_method)),
        );
    }
    app.default_service(web::to(unknown_path));
}

async fn webhook(
    request: HttpRequest,
    key: String,
    mut payload: web::Payload,
    receiver: web::Data<Receiver>,
    channel: Channel,
) -> HttpResponse {
    let started = Instant::now();
    let address = match channel {
        Channel::Paystack => Address::Slug(key),
        _ => Address::Secret(key),
    };

    let answer = receiver
        .receive(&request, &mut payload, channel, address)
        .await;
    receiver
        .metrics
        .webhook(channel.provider(), answer.outcome(), started.elapsed());

    match answer {
        Answer::Accepted | Answer::Spooled | Answer::Duplicate | Answer::Unreadable(_) => {
            answer.respond(channel)
        }
        refused => refusal::close_after(refused.refuse(), payload),
    }
}

async fn wrong_method(payload: web::Payload) -> HttpResponse {
    refusal::close_after(Answer::MethodNotAllowed.refuse(), payload)
}

async fn unknown_path(payload: web::Payload) -> HttpResponse {
    refusal::close_after(Answer::UnknownPath.refuse(), payload)
}
