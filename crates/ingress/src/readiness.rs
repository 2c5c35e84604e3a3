//! Ready: there is a merchant directory, and a webhook can be made durable.

use risiti_queue::BrokerState;
use risiti_service::Context;
use tokio::sync::watch;

use crate::merchants::Merchants;

pub(crate) fn follow(context: &Context, mut merchants: Merchants, mut broker: watch::Receiver<BrokerState>) {
    context.readiness.expect(&["broker", "merchant directory"]);
    let (readiness, shutdown) = (context.readiness.clone(), context.shutdown.clone());
    let watching = async move {
        loop {
            let problem = merchants.problem().map(str::to_owned);
            readiness.set("merchant directory", problem.map_or(Ok(()), Err));
            readiness.set(
                "broker",
                match *broker.borrow_and_update() {
                    BrokerState::Up => Ok(()),
                    BrokerState::Blocked => Err("takes no publishes for now".to_owned()),
                    BrokerState::Down => Err("not connected".to_owned()),
                },
            );
            tokio::select! {
                _ = broker.changed() => {}
                going_on = merchants.changed() => if !going_on { return },
            }
        }
    };
    tokio::spawn(async move { shutdown.run_until_cancelled(watching).await });
}
