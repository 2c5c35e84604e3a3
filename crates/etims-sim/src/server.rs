//! The simulator as a running server.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};
use anyhow::Context;
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::connection::Connection;
use crate::restore::restore;
use crate::simulator::Simulator;
use crate::{control, kra_api, tls};

/// Longest request that is read, in bytes.
const MAX_BODY: usize = 1 << 20;

/// How long idle connections stay open. It is longer than a client's pool keeps them, so that
/// the client is the one to close them.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// A running simulator. It serves until it is stopped or its runtime ends.
pub struct RunningSimulator {
    address: SocketAddr,
    tls: bool,
    handle: ServerHandle,
    task: JoinHandle<std::io::Result<()>>,
}

impl RunningSimulator {
    /// The base URL without a trailing slash, e.g. `http://127.0.0.1:45123`.
    pub fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Stops at once. Pending calls lose their connection, as when a machine dies.
    ///
    /// # Errors
    /// The server had already failed.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.handle.stop(false).await;
        Ok(self.task.await??)
    }
}

/// Starts a simulator in the background of the current tokio runtime.
///
/// # Errors
/// The address is taken, or the TLS files or the journal cannot be used.
pub async fn start(config: Config) -> anyhow::Result<RunningSimulator> {
    let listener = TcpListener::bind(config.listen)
        .with_context(|| format!("listening on {}", config.listen))?;
    let address = listener.local_addr()?;
    let tls_config = tls::server_config(&config)?;
    let tls = tls_config.is_some();
    let (records, traffic) = restore(&config)?;
    let simulator = Arc::new(Simulator::new(config, records, traffic));

    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::from(simulator.clone()))
            .app_data(web::PayloadConfig::new(MAX_BODY))
            .app_data(web::JsonConfig::default().limit(MAX_BODY))
            .service(web::scope("/_sim").configure(control::routes))
            .default_service(web::to(kra_api::handle))
    })
    .on_connect(|io, extensions| {
        if let Some(connection) = Connection::below(io) {
            extensions.insert(Arc::new(connection));
        }
    })
    .keep_alive(KEEP_ALIVE)
    .h1_allow_half_closed(false)
    .disable_signals();

    let server = match tls_config {
        Some(tls_config) => server.listen_rustls_0_23(listener, tls_config)?,
        None => server.listen(listener)?,
    };
    let server = server.run();
    Ok(RunningSimulator {
        address,
        tls,
        handle: server.handle(),
        task: tokio::spawn(server),
    })
}
