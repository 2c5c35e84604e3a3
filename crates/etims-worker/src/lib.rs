#![doc = include_str!("../README.md")]

mod calls;
mod database;
mod decide;
mod filing;
mod gauges;
mod host;
mod hosts;
mod lane;
mod late;
mod leases;
mod letters;
mod metrics;
mod profile;
mod settings;
mod tokens;
mod wake;

use std::sync::Arc;
use std::time::Duration;

use risiti_etims::{Backoff, Client, ClientSettings};
use risiti_ledger::{DatabaseSettings, Ledger, Vault};
use risiti_queue::{Broker, Target};
use risiti_service::{
    AmqpArgs, BadSetting, Context, CredentialsArgs, DatabaseArgs, DatabaseHealth,
};
use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use database::Probe;
use hosts::{HostRules, Hosts};
use lane::Lanes;
use leases::Leases;
use metrics::Metrics;

pub use settings::{LaneArgs, Settings};

/// A lane holds a connection for a statement, never across a call, so a few serve many lanes.
const POOL_SIZE: usize = 16;
/// Heartbeats, leases and breakers have connections of their own: a rush of lanes must not cost the share of
/// the cap that lets any of them call.
const KEEPER_POOL_SIZE: usize = 3;
/// From the end of the grace to letting go of everything.
const RELEASE: Duration = Duration::from_millis(1_500);
/// Lanes in hand beyond those that can call: they wait for their turn, or belong to another host.
const LANES_PER_CALL: u32 = 2;

/// Files invoices until told to stop; then finishes the calls under way within the grace (protocol D17).
pub async fn run(settings: Settings, context: Context) -> anyhow::Result<()> {
    settings.lanes.check()?;
    context.readiness.expect(&["broker", "database", "schema"]);
    let (vault, broker) = (open_vault(&settings)?, open_broker(&settings)?);
    let (ledger, keeper) = (
        open_ledger(&settings, POOL_SIZE)?,
        open_ledger(&settings, KEEPER_POOL_SIZE)?,
    );
    let lanes = Arc::new(lanes(
        &settings,
        &context,
        ledger,
        keeper.clone(),
        vault,
        &broker,
    )?);
    let health = DatabaseHealth::default();
    let mut probe = Probe {
        ledger: &keeper,
        vault: &lanes.vault,
        key_proven: false,
    };
    // What keeps the lanes in hand alive goes on until the last of them is let go.
    let end = CancellationToken::new();
    let work = async {
        let consumer = broker.consumer(Target::Lanes, lanes_in_hand(&settings.lanes));
        tokio::join!(
            tokens::consume(lanes.clone(), &health, consumer),
            wake::run(&lanes, &health, &broker, settings.lanes.wake_interval),
            gauges::run(&lanes, &health),
        );
        end.cancel();
    };
    let keep = async { tokio::join!(lanes.hosts.keep(&end), lanes.leases.renew(&keeper, &end)) };
    let outcome = tokio::select! {
        _ = async { tokio::join!(work, keep) } => Ok(()),
        () = let_go(&context) => Ok(()),
        bad = health.watch(&context.readiness, async || probe.run().await) => Err(bad.into()),
        () = broker.report_state(|state| context.readiness.set("broker", state)) => Ok(()),
    };
    broker.close().await;
    outcome
}

/// After the grace, and a moment for lanes to be released: a database that does not answer holds nobody here.
/// What is held lapses, and what was sent is looked up later (protocol D17).
async fn let_go(context: &Context) {
    context.deadline.cancelled().await;
    tokio::time::sleep(RELEASE).await;
    tracing::warn!("ending with work in hand: its leases lapse");
}

fn lanes(
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
    let (worker, metrics) = (Uuid::now_v7(), Metrics::register(&context.metrics));
    let rules = HostRules {
        cap: args.concurrency,
        call_timeout: args.etims_timeout,
        breaker_failures: args.breaker_failures,
        breaker_pause: args.breaker_pause,
        retry_max: args.retry_max,
    };
    Ok(Lanes {
        hosts: Hosts::new(keeper, worker, metrics.clone(), rules),
        ledger,
        vault,
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

fn lanes_in_hand(args: &LaneArgs) -> u16 {
    u16::try_from(args.concurrency * LANES_PER_CALL).unwrap_or(u16::MAX)
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
