#![doc = include_str!("../README.md")]

mod answer;
mod attempts;
mod body;
mod budget;
mod connection;
mod dedup;
mod durable;
mod http;
mod merchants;
mod metrics;
mod readiness;
mod receive;
mod refusal;
mod route;
mod settings;
mod snapshot;
mod source;
mod spool;
mod tls;
mod traceparent;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use risiti_ledger::{DatabaseSettings, Ledger};
use risiti_queue::{Broker, QueueReading, Target};
use risiti_service::{AmqpArgs, BadSetting, Context, DatabaseArgs, QueueFigures, QueueGauges};
use risiti_spool::Spool;
use secrecy::ExposeSecret;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use attempts::FailedAttempts;
use budget::{BodyBudget, Shares};
use connection::{Connections, Listener};
use dedup::{Dedup, DedupSettings};
use durable::DurableStore;
use merchants::Merchants;
use metrics::Metrics;
use receive::Receiver;
use source::TrustedProxies;
use tls::Certificate;

pub use settings::Settings;

/// Connections to the database. Only the directory's loader and its listener need one.
const POOL_SIZE: usize = 2;

/// Serves webhooks until the shutdown. Then it finishes the requests it holds, publishes included.
pub async fn run(settings: Settings, context: Context) -> anyhow::Result<()> {
    let ledger = open_ledger(&settings)?;
    let broker = open_broker(&settings)?;
    let metrics = Metrics::register(&context.metrics);
    let (merchants, wrong_key) = Merchants::follow(&settings, ledger, &context)?;
    let spool = spool::open(&settings)?;
    spool::metrics::register(&context.metrics, spool.as_ref(), settings.spool_limit);
    readiness::follow(&context, merchants.clone(), &broker, spool.as_ref());

    let publish_timeout = settings.amqp.publish_timeout;
    let drainer = start_drainer(spool.clone(), &broker, publish_timeout);
    let dedup = Arc::new(open_dedup(&settings, &metrics)?);
    let durable = DurableStore::new(
        broker.publisher(),
        publish_timeout,
        settings.dedup.in_flight_max,
        spool.clone(),
        metrics.clone(),
    );
    let proxies = TrustedProxies::new(settings.http.trusted_proxies.clone());
    let limits = settings.http.connection_limits();
    let connections = Connections::new(limits, proxies.clone(), metrics.connections.clone());
    let clock = Arc::clone(connections.clock());
    let body_budget = BodyBudget::new(Shares::default(), clock, metrics.connections.clone());
    let receiver = Receiver {
        merchants,
        dedup: Arc::clone(&dedup),
        metrics,
        proxies,
        http: settings.http,
        body_budget,
        dedup_args: settings.dedup,
        failed_attempts: FailedAttempts::default(),
    };

    let receiver = Arc::new(receiver);
    tokio::select! {
        served = serve(Arc::clone(&receiver), connections, durable, &broker, &context) => served?,
        bad = wrong_key => return Err(bad.into()),
        bad = spool::newer_format_found(spool.clone()) => return Err(bad.into()),
        () = show_queue(&broker, &context) => {}
        () = receiver.failed_attempts.show_every_minute() => {}
    }

    dedup.finish_tasks().await;
    if let Some(drainer) = drainer {
        drainer.abort();
    }
    broker.close().await;
    if let Some(spool) = spool {
        close_spool(spool).await;
    }
    Ok(())
}

/// Shows the queue that this program publishes to. It never ends.
async fn show_queue(broker: &Broker, context: &Context) {
    let queues = [Target::Payments];
    let mut gauges = QueueGauges::register(&context.metrics, &queues.map(Target::as_str));
    let show = |target: Target, reading: Option<QueueReading>| {
        let figures = reading.map(|read| QueueFigures {
            waiting: read.depth.waiting,
            consumers: read.depth.consumers,
            oldest: read.oldest,
        });
        gauges.show(target.as_str(), figures);
    };
    broker.watch_queues(&queues, show).await;
}

fn open_ledger(settings: &Settings) -> Result<Ledger, BadSetting> {
    Ledger::open(DatabaseSettings {
        url: settings.database.database_url.clone(),
        pool_size: POOL_SIZE,
        role: Some("risiti_ingress"),
        application_name: "risiti-ingress",
    })
    .map_err(DatabaseArgs::bad_url)
}

fn open_broker(settings: &Settings) -> Result<Broker, BadSetting> {
    let url = settings.amqp.amqp_url.expose_secret();
    Broker::connect(url, &settings.amqp.namespace, "risiti-ingress")
        .map_err(|error| BadSetting::of::<AmqpArgs>(error.argument(), error))
}

fn open_dedup(settings: &Settings, metrics: &Metrics) -> Result<Dedup, BadSetting> {
    let redis_url = settings.dedup.redis_url.as_ref();
    let dedup_settings = DedupSettings {
        entries_max: settings.dedup.dedup_entries,
        redis_url: redis_url.map(|url| url.expose_secret()),
        namespace: &settings.amqp.namespace,
    };
    // The error of the client is left out, because it may quote the URL and its password.
    Dedup::new(&dedup_settings, metrics.dedup.clone())
        .map_err(|_| BadSetting::new("--redis-url (RISITI_REDIS_URL)", "not a redis:// URL"))
}

fn start_drainer(
    spool: Option<Spool>,
    broker: &Broker,
    publish_timeout: Duration,
) -> Option<JoinHandle<()>> {
    let drainer = spool::Drainer {
        spool: spool?,
        broker: broker.clone(),
        publisher: broker.publisher(),
        publish_timeout,
    };
    Some(tokio::spawn(drainer.run()))
}

/// Stops taking connections at the shutdown and waits for the requests under way.
async fn serve(
    receiver: Arc<Receiver>,
    connections: Arc<Connections>,
    durable: DurableStore,
    broker: &Broker,
    context: &Context,
) -> anyhow::Result<()> {
    let http = &receiver.http;
    let certificate = match (&http.tls_cert_file, &http.tls_key_file) {
        (Some(chain), Some(key)) => Some(Certificate::load(chain, key)?),
        _ => None,
    };
    let listener = Listener {
        connections: Arc::clone(&connections),
        tls: certificate.as_ref().map(Certificate::server_config),
        workers: std::thread::available_parallelism().map_or(2, usize::from),
        shutdown_seconds: context.grace.as_secs().max(1),
    };
    let durable = durable_of_this_thread(durable, broker.clone());
    let server = http::bind(receiver, durable, listener)?;
    if let Some(certificate) = certificate {
        tokio::spawn(certificate.follow(context.shutdown.clone()));
    }

    let served = CancellationToken::new();
    let _ends_the_table = served.clone().drop_guard();
    tokio::spawn(connections.follow(context.shutdown.clone(), served));
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

/// Gives each worker thread a publisher of its own.
fn durable_of_this_thread(
    durable: DurableStore,
    broker: Broker,
) -> impl Fn() -> DurableStore + Clone + Send + 'static {
    move || durable.with_publisher(broker.publisher_of_this_thread())
}

async fn close_spool(spool: Spool) {
    spool.close().await;
    let entries = spool.status().borrow().entries;
    tracing::info!(
        entries,
        "spool closed; its entries are delivered after the next start"
    );
}
