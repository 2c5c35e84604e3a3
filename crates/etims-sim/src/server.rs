//! The simulator as a running server.

use crate::config::Config;
use crate::connection::Connection;
use crate::envelope::Envelope;
use crate::fault_script::FaultScript;
use crate::records::KraRecords;
use crate::seeded;
use crate::traffic::Traffic;
use crate::{control, journal, kra_api, tls};
use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};
use anyhow::Context;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Longest request read, in bytes.
const MAX_BODY: usize = 1 << 20;

/// Idle connections stay open this long, so that a client's pool is the one to close them.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Everything the simulator knows.
pub(crate) struct Simulator {
    pub(crate) config: Config,
    records: Mutex<KraRecords>,
    fault_script: Mutex<FaultScript>,
    pub(crate) traffic: Traffic,
    /// Raised when the state is cleared, so that late deliveries from before stay away.
    pub(crate) epoch: AtomicU64,
    /// Late deliveries on their way.
    pub(crate) delayed: AtomicUsize,
    replies: AtomicU64,
}

impl Simulator {
    pub(crate) fn records(&self) -> MutexGuard<'_, KraRecords> {
        self.records
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(crate) fn fault_script(&self) -> MutexGuard<'_, FaultScript> {
        self.fault_script
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The envelope of one answer.
    pub(crate) fn envelope(&self) -> Envelope {
        let nth = self.replies.fetch_add(1, Ordering::Relaxed).to_string();
        let reference = seeded::uuid(self.config.seed, "response", &[&nth]);
        Envelope {
            dialect: self.config.dialect,
            reference,
        }
    }
}

/// A running simulator; it serves until told to stop or until its runtime ends.
pub struct RunningSimulator {
    address: SocketAddr,
    tls: bool,
    handle: ServerHandle,
    task: JoinHandle<std::io::Result<()>>,
}

impl RunningSimulator {
    /// e.g. `http://127.0.0.1:45123`, without a trailing slash.
    pub fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Stops at once: pending calls lose their connection, as when a machine dies.
    ///
    /// # Errors
    /// When the server had already failed.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.handle.stop(false).await;
        Ok(self.task.await??)
    }
}

/// Binds and serves in the background of the current tokio runtime.
///
/// # Errors
/// When the address is taken, or the TLS files or the journal cannot be used.
pub async fn start(config: Config) -> anyhow::Result<RunningSimulator> {
    let listener = std::net::TcpListener::bind(config.listen)
        .with_context(|| format!("listening on {}", config.listen))?;
    let address = listener.local_addr()?;
    let tls = tls::settings(&config)?;
    let is_tls = tls.is_some();
    let (records, traffic) = journal::open(&config)?;
    let simulator = Arc::new(Simulator {
        config,
        records: Mutex::new(records),
        fault_script: Mutex::default(),
        traffic,
        epoch: AtomicU64::new(0),
        delayed: AtomicUsize::new(0),
        replies: AtomicU64::new(0),
    });
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::from(simulator.clone()))
            .app_data(web::PayloadConfig::new(MAX_BODY))
            .app_data(web::JsonConfig::default().limit(MAX_BODY))
            .service(web::scope("/_sim").configure(control::routes))
            .default_service(web::to(kra_api::answer))
    })
    .on_connect(|io, extensions| {
        if let Some(connection) = Connection::below(io) {
            extensions.insert(Arc::new(connection));
        }
    })
    .keep_alive(KEEP_ALIVE)
    .h1_allow_half_closed(false)
    .disable_signals();
    let server = match tls {
        Some(tls) => server.listen_rustls_0_23(listener, tls)?,
        None => server.listen(listener)?,
    };
    let server = server.run();
    let handle = server.handle();
    Ok(RunningSimulator {
        address,
        tls: is_tls,
        handle,
        task: tokio::spawn(server),
    })
}
