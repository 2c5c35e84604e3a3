#![doc = include_str!("../README.md")]

mod batches;
mod credential_uses;
mod database_probe;
mod dead_letters;
mod held_letters;
mod letter_rates;
mod metrics;
mod next_batch;
mod reading;
mod recorder;
mod registered_codes;
mod retry_budget;
mod settings;
mod suspects;
mod wake_ups;

use risiti_ledger::{DatabaseSettings, Ledger};
use risiti_queue::{Broker, QueueReading, Target};
use risiti_service::{
    AmqpArgs, BadSetting, Context, DatabaseArgs, DatabaseHealth, QueueFigures, QueueGauges,
};
use secrecy::ExposeSecret;

use batches::{Batches, UNDER_WAY_MAX};
use credential_uses::CredentialUses;
use dead_letters::DeadLetters;
use metrics::Metrics;
use recorder::Recorder;
use registered_codes::RegisteredCodes;
use suspects::Suspects;
use wake_ups::WakeUps;

pub use settings::{BatchArgs, Settings};

/// One connection for each batch, one for the suspect, one for dead letters, one for payments of
/// short codes registered since, and one for the probe.
const POOL_SIZE: usize = UNDER_WAY_MAX + 4;

/// Records payments until shutdown, then finishes the batches it holds.
///
/// # Errors
/// A setting is bad, or does not fit the database, or a subscription ended by itself.
pub async fn run(settings: Settings, context: Context) -> anyhow::Result<()> {
    if settings.batches.prefetch < settings.batches.batch_size {
        return Err(BadSetting::of::<BatchArgs>("prefetch", "below --batch-size").into());
    }
    let ledger = open_ledger(&settings)?;
    let broker = Broker::connect(
        settings.amqp.amqp_url.expose_secret(),
        &settings.amqp.namespace,
        "risiti-ledger-worker",
    )
    .map_err(|error| BadSetting::of::<AmqpArgs>(error.argument(), error))?;

    context.readiness.expect(&["broker", "database", "schema"]);
    let health = DatabaseHealth::default();
    let consume = consume(&settings, &context, &ledger, &broker, &health);
    let outcome = tokio::select! {
        ended = consume => ended.map_err(anyhow::Error::from),
        bad = health.watch(&context.readiness, async || database_probe::probe(&ledger).await) => {
            Err(bad.into())
        }
        () = context.deadline.cancelled() => Ok(()),
        () = broker.report_state(|state| context.readiness.set("broker", state)) => Ok(()),
        () = show_queues(&broker, &context) => Ok(()),
    };
    broker.close().await;
    outcome
}

/// Shows the queues that this program consumes or publishes to. It never ends.
async fn show_queues(broker: &Broker, context: &Context) {
    let queues = [
        Target::Payments,
        Target::Suspects,
        Target::Lanes,
        Target::Dead,
    ];
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
    let settings = DatabaseSettings {
        url: settings.database.database_url.clone(),
        pool_size: POOL_SIZE,
        role: Some("risiti_ledger_worker"),
        application_name: "risiti-ledger-worker",
    };
    Ledger::open(settings).map_err(DatabaseArgs::bad_url)
}

/// A consumer ended without being told to. A worker without it would look ready and take nothing,
/// so the program ends.
#[derive(Debug, thiserror::Error)]
#[error("the subscription to {0} ended")]
struct ConsumerEnded(&'static str);

/// Consumes both queues, until both consumers have finished what they hold. When one ends by
/// itself, the other is stopped.
async fn consume(
    settings: &Settings,
    context: &Context,
    ledger: &Ledger,
    broker: &Broker,
    database: &DatabaseHealth,
) -> Result<(), ConsumerEnded> {
    let stop = context.shutdown.child_token();
    let metrics = Metrics::register(&context.metrics);
    let publish_timeout = settings.amqp.publish_timeout;
    let recorder = Recorder {
        ledger: ledger.clone(),
        credential_uses: CredentialUses::default(),
        metrics: metrics.clone(),
    };
    let wake_ups = WakeUps {
        ledger: ledger.clone(),
        publisher: broker.publisher(),
        publish_timeout,
        metrics: metrics.clone(),
    };
    let dead_letters = DeadLetters::new(
        ledger.clone(),
        broker.publisher(),
        publish_timeout,
        metrics.clone(),
    );
    let registered_codes = RegisteredCodes {
        ledger,
        database,
        metrics: &metrics,
        stop: &stop,
    };
    let batches = Batches {
        settings: &settings.batches,
        database,
        recorder: &recorder,
        wake_ups: &wake_ups,
        dead_letters: &dead_letters,
        stop: &stop,
    };
    let suspects = Suspects {
        ledger,
        database,
        recorder: &recorder,
        wake_ups: &wake_ups,
        dead_letters: &dead_letters,
        stop: &stop,
    };
    let payments = broker.consumer(Target::Payments, settings.batches.prefetch);
    let suspect_messages = broker.consumer(Target::Suspects, suspects::PREFETCH);
    let (of_payments, of_suspects, ()) = tokio::join!(
        async { batches.run(payments).await.inspect_err(|_| stop.cancel()) },
        async {
            let ended = suspects.run(suspect_messages).await;
            ended.inspect_err(|_| stop.cancel())
        },
        registered_codes.run(),
    );
    of_payments.and(of_suspects)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser as _;
    use risiti_testkit::{Namespace, TestDatabase, amqp_url};

    use super::*;

    #[tokio::test]
    async fn ended_subscription_ends_the_program() {
        let database = TestDatabase::create().await;
        let namespace = Namespace::unique();
        let arguments = ["risiti-ledger-worker", "--database-url", database.url()];
        let url = amqp_url();
        let broker_arguments = ["--amqp-url", &url, "--namespace", namespace.name()];
        let settings = Settings::parse_from(arguments.into_iter().chain(broker_arguments));
        let ledger = open_ledger(&settings).unwrap();
        let broker = Broker::connect(&url, namespace.name(), "test").unwrap();
        let context = Context::new(Duration::from_secs(20));
        let health = DatabaseHealth::default();

        let available = health.watch(&context.readiness, async || Ok(()));
        let close = async {
            broker.wait_up().await;
            broker.close().await;
            std::future::pending().await
        };
        let consuming = consume(&settings, &context, &ledger, &broker, &health);
        let ended: Result<(), ConsumerEnded> = tokio::select! {
            ended = consuming => ended,
            bad = available => panic!("{bad}"),
            () = close => unreachable!("it only closes"),
            () = tokio::time::sleep(Duration::from_secs(60)) => panic!("it goes on"),
        };
        assert_eq!(
            ended.unwrap_err().to_string(),
            "the subscription to payments ended"
        );
        assert!(!context.shutdown.is_cancelled());
    }
}
