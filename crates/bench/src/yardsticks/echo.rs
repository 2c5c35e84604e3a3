//! The bare echo: an HTTP handler that reads the body and answers 200. Nothing that takes a webhook
//! in can be faster on the same server.

use std::net::TcpListener;

use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::Context as _;

use super::listening;

#[actix_web::main]
pub(crate) async fn run() -> anyhow::Result<()> {
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let server = HttpServer::new(|| App::new().default_service(web::to(receive)));
    let server = server.workers(workers).listen(listener)?.run();
    listening(address);
    server.await.context("the bare echo failed")
}

async fn receive(body: web::Bytes) -> HttpResponse {
    match body.is_empty() {
        false => HttpResponse::Ok().json(serde_json::json!({"ResultCode": 0})),
        true => HttpResponse::BadRequest().finish(),
    }
}
