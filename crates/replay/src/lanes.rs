//! The commands of `lanes`, by which a person stops, starts and settles lanes. Nothing here calls
//! KRA.

use std::process::ExitCode;

use anyhow::Result;
use risiti_domain::DeviceId;
use risiti_ledger::{Ledger, OperatorAction};
use risiti_service::{AmqpArgs, Context};

use crate::lanes_cli::{LaneArgs, LanesCommand};
use crate::lanes_list;
use crate::lanes_switch::{self, Switch};
use crate::output::Output;
use crate::resolve::resolve;
use crate::session;
use crate::set_aside::set_aside;
use crate::wake_up::wake_lane;

pub(crate) async fn run(
    command: LanesCommand,
    operator: String,
    out: Output,
    context: &Context,
) -> Result<ExitCode> {
    match command {
        LanesCommand::List(args) => return lanes_list::list(&args, out).await,
        LanesCommand::Halt(args) => {
            return lanes_switch::run(&args.lanes, Switch::Halt, operator, out, context).await;
        }
        LanesCommand::Resume(args) => {
            let switch = Switch::Resume(&args.amqp);
            return lanes_switch::run(&args.lanes, switch, operator, out, context).await;
        }
        LanesCommand::Resolve(args) => resolve(&args, operator, out).await?,
        LanesCommand::SetAside(args) => set_aside(&args, operator, out).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The database, the device that is named, and who does something to its lane.
pub(crate) async fn open(
    args: &LaneArgs,
    operator: String,
) -> Result<(Ledger, DeviceId, OperatorAction)> {
    let ledger = session::open_ledger(&args.database).await?;
    let device = ledger.device_named(&args.device).await?;
    let by = OperatorAction {
        operator,
        reason: args.reason.clone(),
    };
    Ok((ledger, device, by))
}

/// Wakes a lane after its row was written. When the broker is away, this is left to the wake loop.
pub(crate) async fn wake_over_broker(ledger: &Ledger, amqp: &AmqpArgs, device: DeviceId) {
    match session::connect_broker(amqp).await {
        Ok(broker) => {
            wake_lane(ledger, &broker.publisher(), amqp.publish_timeout, device).await;
            broker.close().await;
        }
        Err(error) => {
            tracing::debug!("failed to wake a lane, leaving it to the wake loop: {error:#}")
        }
    }
}
