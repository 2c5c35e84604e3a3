#![doc = include_str!("../README.md")]

mod calls;
mod database_probe;
mod dead_letter;
mod decide;
mod demand;
mod filing;
mod gauges;
mod halt_reasons;
mod heartbeat;
mod host;
mod hosts;
mod lane;
mod lane_hosts;
mod late_look_up;
mod leases;
mod metrics;
mod next_send;
mod places;
mod profile;
mod receipts;
mod settings;
mod stop;
mod trader_number;
mod turn;
mod wake_loop;
mod wake_ups;
mod waker;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use risiti_etims::{Backoff, Client, ClientSettings};
use risiti_ledger::{DatabaseSettings, Ledger, Vault};
use risiti_queue::{Broker, QueueReading, Target};
use risiti_service::{
    AmqpArgs, BadSetting, Context, CredentialsArgs, DatabaseArgs, DatabaseHealth, QueueFigures,
    QueueGauges,
};
use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::database_probe::DatabaseProbe;
use crate::hosts::{HostRules, Hosts};
use crate::lane::Lanes;
use crate::lane_hosts::LaneHosts;
use crate::leases::Leases;
use crate::metrics::Metrics;
use crate::places::Places;

pub use settings::{LaneArgs, Settings};

/// A lane holds a connection for a statement and never across a call, so that a few serve many
/// lanes.
const POOL_SIZE: usize = 16;
/// Heartbeats, leases and breakers have connections of their own. Otherwise many busy lanes could
/// delay the heartbeat, and cost this worker the share that lets any of them call.
const KEEPER_POOL_SIZE: usize = 3;
/// How long after the grace the lanes have to be given back.
const RELEASE_TIME: Duration = Duration::from_millis(1_500);

/// Files invoices until shutdown, then finishes the calls under way within the grace
/// (protocol D17).
pub async fn run(settings: Settings, context: Context) -> anyhow::Result<()> {
    settings.lanes.check()?;
    context.readiness.expect(&["broker", "database", "schema"]);
    let vault = open_vault(&settings)?;
    let broker = open_broker(&settings)?;
    let ledger = open_ledger(&settings, POOL_SIZE)?;
    let keeper = open_ledger(&settings, KEEPER_POOL_SIZE)?;
    let lanes = Arc::new(build_lanes(
        &settings,
        &context,
        ledger,
        keeper.clone(),
        vault,
        &broker,
    )?);
    let health = DatabaseHealth::default();
    let mut probe = DatabaseProbe {
        ledger: &keeper,
        vault: &lanes.vault,
        key_doubted: &lanes.key_doubted,
        key_proven: false,
    };

    // Heartbeats and lease renewals go on until the last lane is given back.
    let end = CancellationToken::new();
    let work = async {
        tokio::join!(
            wake_ups::consume(lanes.clone(), &health, &broker),
            wake_loop::run(&lanes, &health, &broker, settings.lanes.wake_interval),
            gauges::run(&lanes, &health),
        );
        end.cancel();
    };
    let keep = async { tokio::join!(lanes.hosts.keep(&end), lanes.leases.renew(&keeper, &end)) };

    let outcome = tokio::select! {
        _ = async { tokio::join!(work, keep) } => Ok(()),
        () = release_time_over(&context) => Ok(()),
        bad = health.watch(&context.readiness, async || probe.run().await) => Err(bad.into()),
        () = broker.report_state(|state| context.readiness.set("broker", state)) => Ok(()),
        () = show_queues(&broker, &context) => Ok(()),
    };
    broker.close().await;
    outcome
}

/// Shows the queues that this program consumes or publishes to. It never ends.
async fn show_queues(broker: &Broker, context: &Context) {
    let queues = [Target::Lanes, Target::Dead];
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

/// Ends after the grace and a moment to give lanes back, so that a database that does not answer
/// cannot hold up the exit. Leases then expire, and what was sent is looked up later
/// (protocol D17).
async fn release_time_over(context: &Context) {
    context.deadline.cancelled().await;
    tokio::time::sleep(RELEASE_TIME).await;
    tracing::warn!("stopping with lanes still claimed, their leases expire");
}

fn build_lanes(
    settings: &Settings,
    context: &Context,
    ledger: Ledger,
    keeper: Ledger,
    vault: Vault,
    broker: &Broker,
) -> anyhow::Result<Lanes> {
    let args = &settings.lanes;
    let client = Client::new(ClientSettings {
        call_timeout: args.etims_timeout,
        connect_timeout: args.etims_connect_timeout.min(args.etims_timeout),
        idle_timeout: args.etims_idle_timeout,
        ..ClientSettings::default()
    })?;
    let worker = Uuid::now_v7();
    let metrics = Metrics::register(&context.metrics);
    let rules = HostRules {
        cap: args.concurrency,
        call_timeout: args.etims_timeout,
        breaker_failures: args.breaker_failures,
        breaker_pause: args.breaker_pause,
        retry_max: args.retry_max,
    };
    let places = Places::new();
    Ok(Lanes {
        hosts: Hosts::new(keeper, worker, metrics.clone(), places.clone(), rules),
        places,
        lane_hosts: LaneHosts::default(),
        ledger,
        vault,
        key_doubted: AtomicBool::default(),
        client,
        publisher: broker.publisher(),
        publish_timeout: settings.amqp.publish_timeout,
        leases: Leases::default(),
        metrics,
        worker,
        backoff: Backoff::new(args.retry_first, args.retry_max),
        strikes_max: args.strikes_max,
        shutdown: context.shutdown.clone(),
        deadline: context.deadline.clone(),
    })
}

fn open_ledger(settings: &Settings, pool_size: usize) -> Result<Ledger, BadSetting> {
    Ledger::open(DatabaseSettings {
        url: settings.database.database_url.clone(),
        pool_size,
        role: Some("risiti_etims_worker"),
        application_name: "risiti-etims-worker",
    })
    .map_err(DatabaseArgs::bad_url)
}

fn open_vault(settings: &Settings) -> Result<Vault, BadSetting> {
    let keys = &settings.credentials;
    Vault::new(&keys.credentials_key, keys.credentials_key_old.as_ref())
        .map_err(CredentialsArgs::bad_key)
}

fn open_broker(settings: &Settings) -> Result<Broker, BadSetting> {
    let amqp = &settings.amqp;
    let url = amqp.amqp_url.expose_secret();
    Broker::connect(url, &amqp.namespace, "risiti-etims-worker")
        .map_err(|error| BadSetting::of::<AmqpArgs>(error.argument(), error))
}
