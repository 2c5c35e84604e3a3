#![doc = include_str!("../README.md")]

mod aside;
mod batches;
mod database;
mod metrics;
mod patience;
mod read;
mod recorder;
mod settings;
mod suspects;
mod tokens;

use risiti_ledger::{DatabaseSettings, Ledger};
use risiti_queue::{Broker, Target};
use risiti_service::{AmqpArgs, BadSetting, Context, DatabaseArgs, DatabaseHealth};
use secrecy::ExposeSecret;

use aside::Pile;
use batches::Batches;
use metrics::Metrics;
use recorder::Recorder;
use suspects::Suspects;
use tokens::Waker;

pub use settings::{BatchArgs, Settings};

/// One for the batch, one for the suspect, one for the look at the schema, and one to spare.
const POOL_SIZE: usize = 4;

/// Records payments until told to stop; then finishes the batch it holds.
pub async fn run(settings: Settings, context: Context) -> anyhow::Result<()> {
    if settings.batches.prefetch < settings.batches.batch_size {
        return Err(BadSetting::of::<BatchArgs>("prefetch", "below --batch-size").into());
    }
    let ledger = Ledger::open(DatabaseSettings {
        url: settings.database.database_url.clone(),
        pool_size: POOL_SIZE,
        role: Some("risiti_ledger_worker"),
        application_name: "risiti-ledger-worker",
    })
    .map_err(DatabaseArgs::bad_url)?;
    let broker = Broker::connect(
        settings.amqp.amqp_url.expose_secret(),
        &settings.amqp.namespace,
        "risiti-ledger-worker",
    )
    .map_err(|error| BadSetting::of::<AmqpArgs>(error.argument(), error))?;

    context.readiness.expect(&["broker", "database", "schema"]);
    let health = DatabaseHealth::default();
    let work = work(&settings, &context, &ledger, &broker, &health);
    tokio::select! {
        () = work => {}
        bad = health.watch(&context.readiness, async || database::probe(&ledger).await) => {
            return Err(bad.into());
        }
        () = context.deadline.cancelled() => {}
        () = broker.report_state(|state| context.readiness.set("broker", state)) => {}
    }
    broker.close().await;
    Ok(())
}

/// Both queues, until both have finished what they hold.
async fn work(
    settings: &Settings,
    context: &Context,
    ledger: &Ledger,
    broker: &Broker,
    database: &DatabaseHealth,
) {
    let metrics = Metrics::register(&context.metrics);
    let publish_timeout = settings.amqp.publish_timeout;
    let recorder = Recorder {
        ledger: ledger.clone(),
        metrics: metrics.clone(),
    };
    let waker = Waker {
        ledger: ledger.clone(),
        publisher: broker.publisher(),
        publish_timeout,
        metrics: metrics.clone(),
    };
    let pile = Pile {
        ledger: ledger.clone(),
        publisher: broker.publisher(),
        publish_timeout,
        metrics,
    };
    let batches = Batches {
        settings: &settings.batches,
        database,
        recorder: &recorder,
        waker: &waker,
        pile: &pile,
        stop: &context.shutdown,
    };
    let suspects = Suspects {
        ledger,
        database,
        recorder: &recorder,
        waker: &waker,
        pile: &pile,
        stop: &context.shutdown,
    };
    tokio::join!(
        batches.run(broker.consumer(Target::Payments, settings.batches.prefetch)),
        suspects.run(broker.consumer(Target::Suspects, 1)),
    );
}
