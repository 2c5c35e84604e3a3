//! The private listener, which serves `/healthz`, `/readyz` and `/metrics`.

use std::net::SocketAddr;

use actix_web::dev::Server;
use actix_web::http::header;
use actix_web::{App, HttpResponse, HttpServer, web};
use prometheus::{Encoder as _, Registry, TextEncoder};
use serde_json::json;

use crate::{BadSetting, OpsArgs, Readiness};

/// Binds the address at once, so that a taken address ends the program before it does anything. The
/// server answers once it is awaited.
///
/// # Errors
/// The address cannot be bound.
pub(crate) fn bind(
    address: SocketAddr,
    readiness: Readiness,
    registry: Registry,
) -> Result<Server, BadSetting> {
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(readiness.clone()))
            .app_data(web::Data::new(registry.clone()))
            .route("/healthz", web::get().to(healthz))
            .route("/readyz", web::get().to(readyz))
            .route("/metrics", web::get().to(metrics))
    })
    .workers(1)
    .max_connections(64)
    .disable_signals()
    .shutdown_timeout(1)
    .bind(address)
    .map_err(|e| {
        BadSetting::of::<OpsArgs>("ops_listen", format!("cannot listen on {address}: {e}"))
    })?;
    for bound in server.addrs() {
        tracing::info!("ops listener on {bound}");
    }
    Ok(server.run())
}

async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(json!({"alive": true}))
}

async fn readyz(readiness: web::Data<Readiness>) -> HttpResponse {
    let missing = readiness.missing();
    let body = json!({"ready": missing.is_empty(), "missing": missing});
    if missing.is_empty() {
        HttpResponse::Ok().json(body)
    } else {
        HttpResponse::ServiceUnavailable().json(body)
    }
}

async fn metrics(registry: web::Data<Registry>) -> HttpResponse {
    let mut text = Vec::new();
    match TextEncoder::new().encode(&registry.gather(), &mut text) {
        Ok(()) => HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, prometheus::TEXT_FORMAT))
            .body(text),
        Err(error) => {
            tracing::error!(%error, "failed to write the metrics");
            HttpResponse::InternalServerError().finish()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use actix_web::http::StatusCode;
    use actix_web::test;

    use super::*;
    use crate::metrics::counter;

    async fn get(path: &str, readiness: &Readiness, registry: &Registry) -> (StatusCode, String) {
        let app = App::new()
            .app_data(web::Data::new(readiness.clone()))
            .app_data(web::Data::new(registry.clone()))
            .route("/readyz", web::get().to(readyz))
            .route("/metrics", web::get().to(metrics));
        let service = test::init_service(app).await;
        let response =
            test::call_service(&service, test::TestRequest::get().uri(path).to_request()).await;
        let status = response.status();
        (
            status,
            String::from_utf8(test::read_body(response).await.to_vec()).unwrap(),
        )
    }

    #[actix_web::test]
    async fn readiness_lists_what_is_missing() {
        let readiness = Readiness::default();
        readiness.set("broker", Err("not connected".into()));
        let (status, body) = get("/readyz", &readiness, &Registry::new()).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(
            body,
            r#"{"missing":["broker: not connected"],"ready":false}"#
        );

        readiness.set("broker", Ok(()));
        let (status, body) = get("/readyz", &readiness, &Registry::new()).await;
        assert_eq!(
            (status, body.as_str()),
            (StatusCode::OK, r#"{"missing":[],"ready":true}"#)
        );
    }

    #[actix_web::test]
    async fn metrics_are_prometheus_text() {
        let registry = Registry::new();
        counter(&registry, "risiti_replayed_total", "Replayed.");
        let (status, body) = get("/metrics", &Readiness::default(), &registry).await;
        assert_eq!(status, StatusCode::OK);
        assert!(body.contains("\nrisiti_replayed_total 0\n"), "{body}");
    }

    #[actix_web::test]
    async fn taken_address_is_a_bad_setting() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = bind(address, Readiness::default(), Registry::new())
            .err()
            .unwrap();
        assert!(error.to_string().contains("RISITI_OPS_LISTEN"), "{error}");
    }
}
