//! Readiness: ingress has a merchant directory and can make a webhook durable.

use std::time::Duration;

use risiti_queue::BrokerState;
use risiti_service::Context;
use risiti_spool::{Condition, Spool};
use tokio::sync::watch;

use crate::merchants::Merchants;

const DIRECTORY: &str = "merchant directory";
/// One check stands for both, because either of them is enough.
const DURABLE: &str = "broker or spool";
/// How often the spool's status is sampled. Following it would wake up with every commit.
const SPOOL_SAMPLE_INTERVAL: Duration = Duration::from_millis(500);
/// How long a disk may take before it counts as failing. No webhook waits longer for its answer.
const DISK_TIMEOUT: Duration = Duration::from_secs(3);

/// Keeps the checks of `/readyz` up to date until the shutdown.
pub(crate) fn follow(
    context: &Context,
    mut merchants: Merchants,
    mut broker: watch::Receiver<BrokerState>,
    spool: Option<&Spool>,
) {
    context.readiness.expect(&[DURABLE, DIRECTORY]);
    let readiness = context.readiness.clone();
    let shutdown = context.shutdown.clone();
    let spool = spool.cloned();

    let watching = async move {
        loop {
            let directory_problem = merchants.problem().map(str::to_owned);
            readiness.set(DIRECTORY, directory_problem.map_or(Ok(()), Err));

            let broker_state = *broker.borrow_and_update();
            let spool_condition = spool.as_ref().map(condition);
            readiness.set(DURABLE, durable(broker_state, spool_condition.as_ref()));

            tokio::select! {
                _ = broker.changed() => {}
                () = tokio::time::sleep(SPOOL_SAMPLE_INTERVAL), if spool.is_some() => {}
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
    if waited >= DISK_TIMEOUT {
        let problem = format!("the disk has not answered for {} s", waited.as_secs());
        return Condition::Failing(problem.into());
    }
    spool.status().borrow().condition.clone()
}

fn durable(broker: BrokerState, spool: Option<&Condition>) -> Result<(), String> {
    let broker_problem = match broker {
        BrokerState::Up => return Ok(()),
        BrokerState::Blocked => "the broker takes no publishes for now",
        BrokerState::Down => "the broker is not connected",
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

    #[test]
    fn broker_or_spool_is_enough() {
        assert_eq!(durable(BrokerState::Up, None), Ok(()));
        assert_eq!(
            durable(BrokerState::Down, Some(&Condition::Writable)),
            Ok(())
        );
        assert_eq!(durable(BrokerState::Up, Some(&Condition::Full)), Ok(()));
    }

    #[test]
    fn problem_names_both_broker_and_spool() {
        let problem = durable(BrokerState::Blocked, Some(&Condition::Full)).unwrap_err();
        assert_eq!(
            problem,
            "the broker takes no publishes for now, and the spool is full"
        );
        let problem = durable(BrokerState::Down, None).unwrap_err();
        assert_eq!(
            problem,
            "the broker is not connected, and there is no spool"
        );
    }
}
