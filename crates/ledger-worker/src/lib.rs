#![doc = include_str!("../README.md")]

mod batches;
mod database_probe;
mod dead_letters;
mod metrics;
mod reading;
mod recorder;
mod retry_budget;
mod settings;
mod suspects;
mod wake_ups;

use risiti_ledger::{DatabaseSettings, Ledger};
use risiti_queue::{Broker, Target};
use risiti_service::{AmqpArgs, BadSetting, Context, DatabaseArgs, DatabaseHealth};
use secrecy::ExposeSecret;

use batches::Batches;
use dead_letters::DeadLetters;
use metrics::Metrics;
use recorder::Recorder;
use suspects::Suspects;
use wake_ups::WakeUps;

pub use settings::{BatchArgs, Settings};

/// One connection for the batch, one for the suspect, one for the probe, and one to spare.
const POOL_SIZE: usize = 4;

/// Records payments until shutdown, then finishes the batch it holds.
///
/// # Errors
/// A setting is bad, or does not fit the database.
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
    let consume = consume(&settings, &context, &ledger, &broker, &health);
    tokio::select! {
        () = consume => {}
        bad = health.watch(&context.readiness, async || database_probe::probe(&ledger).await) => {
            return Err(bad.into());
        }
        () = context.deadline.cancelled() => {}
        () = broker.report_state(|state| context.readiness.set("broker", state)) => {}
    }
    broker.close().await;
    Ok(())
}

/// Consumes both queues, until both consumers have finished what they hold.
async fn consume(
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
    let wake_ups = WakeUps {
        ledger: ledger.clone(),
        publisher: broker.publisher(),
        publish_timeout,
        metrics: metrics.clone(),
    };
    let dead_letters = DeadLetters {
        ledger: ledger.clone(),
        publisher: broker.publisher(),
        publish_timeout,
        metrics,
    };
    let batches = Batches {
        settings: &settings.batches,
        database,
        recorder: &recorder,
        wake_ups: &wake_ups,
        dead_letters: &dead_letters,
        stop: &context.shutdown,
    };
    let suspects = Suspects {
        ledger,
        database,
        recorder: &recorder,
        wake_ups: &wake_ups,
        dead_letters: &dead_letters,
        stop: &context.shutdown,
    };
    tokio::join!(
        batches.run(broker.consumer(Target::Payments, settings.batches.prefetch)),
        suspects.run(broker.consumer(Target::Suspects, 1)),
    );
}
