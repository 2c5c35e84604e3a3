//! Ready: there is a merchant directory, and a webhook can be made durable.

use std::time::Duration;

use risiti_queue::BrokerState;
use risiti_service::Context;
use risiti_spool::{Condition, Spool};
use tokio::sync::watch;

use crate::merchants::Merchants;

/// One check for both: either of them will do.
const DURABLE: &str = "broker or spool";
/// At the spool, which changes with every commit.
const LOOK: Duration = Duration::from_millis(500);
/// Longer than any webhook waits for its answer.
const DISK_HANGS: Duration = Duration::from_secs(3);

pub(crate) fn follow(
    context: &Context,
    mut merchants: Merchants,
    mut broker: watch::Receiver<BrokerState>,
    spool: Option<&Spool>,
) {
    context.readiness.expect(&[DURABLE, "merchant directory"]);
    let (readiness, shutdown) = (context.readiness.clone(), context.shutdown.clone());
    let spool = spool.cloned();
    let watching = async move {
        loop {
            let problem = merchants.problem().map(str::to_owned);
            readiness.set("merchant directory", problem.map_or(Ok(()), Err));
            let broker_state = *broker.borrow_and_update();
            let condition = spool.as_ref().map(condition);
            readiness.set(DURABLE, durable(broker_state, condition.as_ref()));
            tokio::select! {
                _ = broker.changed() => {}
                () = tokio::time::sleep(LOOK), if spool.is_some() => {}
                going_on = merchants.changed() => if !going_on { return },
            }
        }
    };
    tokio::spawn(async move { shutdown.run_until_cancelled(watching).await });
}

/// A disk that hangs tells nobody, and keeps every webhook waiting.
fn condition(spool: &Spool) -> Condition {
    match spool.waits_for_disk() {
        long if long >= DISK_HANGS => {
            Condition::Failing(format!("the disk has not answered for {} s", long.as_secs()).into())
        }
        _ => spool.status().borrow().condition.clone(),
    }
}

fn durable(broker: BrokerState, spool: Option<&Condition>) -> Result<(), String> {
    let broker = match broker {
        BrokerState::Up => return Ok(()),
        BrokerState::Blocked => "the broker takes no publishes for now",
        BrokerState::Down => "the broker is not connected",
    };
    let spool = match spool {
        Some(Condition::Writable) => return Ok(()),
        None => "there is no spool".to_owned(),
        Some(Condition::Opening) => "the spool is still opening".to_owned(),
        Some(Condition::Full) => "the spool is full".to_owned(),
        Some(Condition::Failing(why) | Condition::Foreign(why)) => {
            format!("the spool cannot be used: {why}")
        }
        Some(Condition::Closed) => "the spool is closed".to_owned(),
    };
    Err(format!("{broker}, and {spool}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_of_broker_and_spool_will_do() {
        assert_eq!(durable(BrokerState::Up, None), Ok(()));
        assert_eq!(
            durable(BrokerState::Down, Some(&Condition::Writable)),
            Ok(())
        );
        assert_eq!(durable(BrokerState::Up, Some(&Condition::Full)), Ok(()));
    }

    #[test]
    fn what_is_missing_is_said_of_both() {
        let told = durable(BrokerState::Blocked, Some(&Condition::Full)).unwrap_err();
        assert_eq!(
            told,
            "the broker takes no publishes for now, and the spool is full"
        );
        let told = durable(BrokerState::Down, None).unwrap_err();
        assert_eq!(told, "the broker is not connected, and there is no spool");
    }
}
