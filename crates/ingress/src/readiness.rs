//! Readiness: ingress has a merchant directory and can make a webhook durable.

use std::time::Duration;

use risiti_queue::{Broker, BrokerState, Publisher};
use risiti_service::Context;
use risiti_spool::{Condition, Spool};

use crate::merchants::Merchants;

const DIRECTORY: &str = "merchant directory";
/// One check stands for both, because either of them is enough.
const DURABLE: &str = "broker or spool";
/// How often the load of the publisher and the status of the spool are sampled. Both change with every
/// webhook.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(500);
/// How long a disk or a confirm may take before it counts as failing. No webhook waits longer for its
/// answer.
const STALLED: Duration = Duration::from_secs(3);

/// Keeps the checks of `/readyz` up to date until the shutdown.
pub(crate) fn follow(
    context: &Context,
    mut merchants: Merchants,
    broker: &Broker,
    spool: Option<&Spool>,
) {
    context.readiness.expect(&[DURABLE, DIRECTORY]);
    let readiness = context.readiness.clone();
    let shutdown = context.shutdown.clone();
    let spool = spool.cloned();
    let publisher = broker.publisher();
    let mut broker = broker.state();

    let watching = async move {
        loop {
            let directory_problem = merchants.problem().map(str::to_owned);
            readiness.set(DIRECTORY, directory_problem.map_or(Ok(()), Err));

            let queue = queue_condition(*broker.borrow_and_update(), &publisher);
            let spool_condition = spool.as_ref().map(condition);
            readiness.set(DURABLE, durable(&queue, spool_condition.as_ref()));

            tokio::select! {
                _ = broker.changed() => {}
                () = tokio::time::sleep(SAMPLE_INTERVAL) => {}
                changed = merchants.changed() => if changed.is_err() { return },
            }
        }
    };
    tokio::spawn(async move { shutdown.run_until_cancelled(watching).await });
}

/// The spool's condition. A disk that hangs reports nothing and keeps every webhook waiting, so it
/// counts as failing.
fn condition(spool: &Spool) -> Condition {
    let waited = spool.waits_for_disk();
    if waited >= STALLED {
        let problem = format!("the disk has not answered for {} s", waited.as_secs());
        return Condition::Failing(problem.into());
    }
    spool.status().borrow().condition.clone()
}

/// Whether the broker's queue can take a webhook. A broker that confirms nothing reports nothing, so its
/// oldest publish tells.
fn queue_condition(broker: BrokerState, publisher: &Publisher) -> Result<(), String> {
    let load = publisher.load();
    match broker {
        BrokerState::Blocked => Err("the broker takes no publishes for now".to_owned()),
        BrokerState::Down => Err("the broker is not connected".to_owned()),
        BrokerState::Up if load.oldest >= STALLED => Err(format!(
            "the broker has not confirmed {} publishes, the oldest for {} s",
            load.in_flight,
            load.oldest.as_secs()
        )),
        BrokerState::Up => Ok(()),
    }
}

fn durable(queue: &Result<(), String>, spool: Option<&Condition>) -> Result<(), String> {
    let Err(broker_problem) = queue else {
        return Ok(());
    };
    let spool_problem = match spool {
        Some(Condition::Writable) => return Ok(()),
        None => "there is no spool".to_owned(),
        Some(Condition::Opening) => "the spool is still opening".to_owned(),
        Some(Condition::Full) => "the spool is full".to_owned(),
        Some(Condition::Failing(why) | Condition::Foreign(why)) => {
            format!("the spool cannot be used: {why}")
        }
        Some(Condition::Closed) => "the spool is closed".to_owned(),
    };
    Err(format!("{broker_problem}, and {spool_problem}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn away() -> Result<(), String> {
        Err("the broker is not connected".to_owned())
    }

    #[test]
    fn broker_or_spool_is_enough() {
        assert_eq!(durable(&Ok(()), None), Ok(()));
        assert_eq!(durable(&away(), Some(&Condition::Writable)), Ok(()));
        assert_eq!(durable(&Ok(()), Some(&Condition::Full)), Ok(()));
    }

    #[test]
    fn problem_names_both_broker_and_spool() {
        assert_eq!(
            durable(&away(), Some(&Condition::Full)).unwrap_err(),
            "the broker is not connected, and the spool is full"
        );
        assert_eq!(
            durable(&away(), None).unwrap_err(),
            "the broker is not connected, and there is no spool"
        );
    }
}
