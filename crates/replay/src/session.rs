//! The database and the broker, as the commands need them.

use std::time::Duration;

use anyhow::{Context as _, Result};
use risiti_ledger::{DatabaseSettings, Ledger, LedgerError};
use risiti_queue::{Broker, BrokerError, Target};
use risiti_service::{AmqpArgs, BadSetting, DatabaseArgs};
use secrecy::ExposeSecret as _;

use crate::in_hand::IN_HAND_MAX;

/// How long a command waits for the broker. A person waits for the command, so a longer outage is
/// reported.
const BROKER_WAIT_MAX: Duration = Duration::from_secs(10);

/// Opens the database, which must have the schema that this program was built for.
pub(crate) async fn open_ledger(args: &DatabaseArgs) -> Result<Ledger> {
    let settings = DatabaseSettings {
        url: args.database_url.clone(),
        pool_size: IN_HAND_MAX + 2,
        role: Some("risiti_replay"),
        application_name: "risiti-replay",
    };
    let ledger = Ledger::open(settings).map_err(DatabaseArgs::bad_url)?;
    match ledger.check_schema().await {
        Err(error @ LedgerError::TransactionPooler) => Err(DatabaseArgs::bad_url(error).into()),
        checked => Ok(checked.map(|()| ledger)?),
    }
}

/// Connects to the broker and waits until it takes publishes. Where there are no queues, the
/// namespace is wrong, or nothing of Risiti has run with it yet. This program declares none, since
/// nobody would ever read what it leaves there.
pub(crate) async fn connect_broker(args: &AmqpArgs) -> Result<Broker> {
    let url = args.amqp_url.expose_secret();
    let broker = Broker::connect_without_declaring(url, &args.namespace, "risiti-replay")
        .map_err(|error| BadSetting::of::<AmqpArgs>(error.argument(), error))?;
    let up = tokio::time::timeout(BROKER_WAIT_MAX, broker.wait_up()).await;
    up.map_err(|_| anyhow::anyhow!(broker.problem().unwrap_or_else(|| "no answer".to_owned())))
        .context("the broker cannot be reached")?;
    match broker.depth(Target::Dead).await {
        Ok(_) => Ok(broker),
        Err(error @ BrokerError::NoSuchQueue(_)) => {
            broker.close().await;
            let problem = format!("{error}: is RISITI_NAMESPACE right?");
            Err(BadSetting::of::<AmqpArgs>("namespace", problem).into())
        }
        Err(error) => Err(error).context("failed to look at the dead-letter queue"),
    }
}
