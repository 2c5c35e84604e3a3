#![doc = include_str!("../README.md")]

mod answer;
mod body;
mod dedup;
mod durable;
mod http;
mod merchants;
mod metrics;
mod readiness;
mod receive;
mod settings;
mod snapshot;
mod source;
mod spool;
mod tls;
mod trace;
mod unread;

use std::sync::Arc;

use anyhow::Context as _;
use risiti_ledger::{DatabaseSettings, Ledger};
use risiti_queue::{Broker, Topology};
use risiti_service::{BadSetting, Context};
use secrecy::ExposeSecret;

pub use settings::Settings;

use body::Room;
use dedup::Dedup;
use durable::{Durable, Suspicion};
use merchants::Merchants;
use metrics::Metrics;
use receive::Receiver;
use source::TrustedProxies;
use tls::Certificate;

/// The directory's loader and its listener: nothing else of ingress speaks to the database.
const POOL_SIZE: usize = 2;

/// Serves webhooks until told to stop; then finishes what is held, publishes included.
pub async fn run(settings: Settings, context: Context) -> anyhow::Result<()> {
    let ledger = Ledger::open(DatabaseSettings {
        url: settings.database.database_url.clone(),
        pool_size: POOL_SIZE,
        role: Some("risiti_ingress"),
        application_name: "risiti-ingress",
    })
    .map_err(|error| BadSetting::new("--database-url (DATABASE_URL)", error.to_string()))?;
    let topology = Topology::new(&settings.amqp.namespace)
        .map_err(|error| BadSetting::new("--namespace (RISITI_NAMESPACE)", error.to_string()))?;
    // Not the shutdown token: publishes under way at the signal still get their confirm.
    let broker_end = tokio_util::sync::CancellationToken::new();
    let broker = Broker::start(
        settings.amqp.amqp_url.expose_secret(),
        topology,
        "risiti-ingress",
        broker_end,
    )
    .map_err(|error| BadSetting::new("--amqp-url (AMQP_URL)", error.to_string()))?;
    let metrics = Metrics::register(&context.metrics);
    let (merchants, wrong_key) = Merchants::follow(&settings, ledger, &context)?;
    let spool = spool::open(&settings)?;
    spool::metrics::register(&context.metrics, spool.as_ref(), settings.spool_limit);
    readiness::follow(&context, merchants.clone(), broker.state(), spool.as_ref());
    let suspicion = Suspicion::default();
    let draining = spool.clone().map(|spool| {
        let (publisher, timeout) = (broker.publisher(), settings.amqp.publish_timeout);
        let drainer = spool::Drainer {
            spool,
            broker: broker.clone(),
            publisher,
            timeout,
            suspicion: suspicion.clone(),
        };
        tokio::spawn(drainer.run())
    });

    let redis_url = settings
        .dedup
        .redis_url
        .as_ref()
        .map(|url| url.expose_secret().to_owned());
    let dedup = Dedup::new(
        &dedup::Settings {
            entries_max: settings.dedup.dedup_entries,
            in_flight_max: settings.dedup.in_flight_max,
            redis_url: redis_url.as_deref(),
            namespace: &settings.amqp.namespace,
        },
        metrics.dedup.clone(),
    )
    .map_err(|_| BadSetting::new("--redis-url (RISITI_REDIS_URL)", "not a redis:// URL"))?;
    let dedup = Arc::new(dedup);
    let receiver = Arc::new(Receiver {
        merchants,
        dedup: Arc::clone(&dedup),
        durable: Durable::new(
            broker.publisher(),
            settings.amqp.publish_timeout,
            spool.clone(),
            suspicion,
            metrics.clone(),
        ),
        metrics,
        proxies: TrustedProxies::new(settings.http.trusted_proxies.clone()),
        http: settings.http,
        room: Room::default(),
        remember: settings.dedup,
    });
    tokio::select! {
        served = serve(receiver, &context) => served?,
        wrong = wrong_key => return Err(wrong.into()),
        foreign = spool::foreign(spool.clone()) => return Err(foreign.into()),
    }
    dedup.drain().await;
    if let Some(draining) = draining {
        draining.abort();
    }
    broker.close().await;
    if let Some(spool) = spool {
        spool.close().await;
        let entries = spool.status().borrow().entries;
        tracing::info!(
            entries,
            "spool closed; what it holds is delivered after the next start"
        );
    }
    Ok(())
}

/// Stops taking connections at the signal and waits for the requests under way.
async fn serve(receiver: Arc<Receiver>, context: &Context) -> anyhow::Result<()> {
    let http = &receiver.http;
    let certificate = match (&http.tls_cert_file, &http.tls_key_file) {
        (Some(chain), Some(key)) => Some(Certificate::load(chain, key)?),
        _ => None,
    };
    let server = http::bind(
        receiver,
        certificate.as_ref(),
        context.grace.as_secs().max(1),
    )?;
    if let Some(certificate) = certificate {
        tokio::spawn(certificate.follow(context.shutdown.clone()));
    }
    let handle = server.handle();
    let shutdown = context.shutdown.clone();
    let stopper = tokio::spawn(async move {
        shutdown.cancelled().await;
        handle.stop(true).await;
    });
    let served = server.await;
    stopper.abort();
    served.context("webhooks listener failed")
}
