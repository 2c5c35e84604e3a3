//! The commands of `lanes`, by which a person stops, starts and settles lanes. Nothing here calls
//! KRA.

use std::process::ExitCode;

use anyhow::Result;
use risiti_domain::DeviceId;
use risiti_ledger::{LaneStatus, Ledger, OperatorAction};
use risiti_service::{AmqpArgs, DatabaseArgs};

use crate::lanes_cli::{LaneArgs, LanesCommand};
use crate::output::Output;
use crate::resolve::resolve;
use crate::session;
use crate::set_aside::set_aside;
use crate::wake_up::wake_lane;

pub(crate) async fn run(command: LanesCommand, operator: String, out: Output) -> Result<ExitCode> {
    match command {
        LanesCommand::List(args) => list(&args.database, out).await?,
        LanesCommand::Halt(args) => {
            let (ledger, by) = open(&args.lane, operator).await?;
            ledger.halt_lane_by_hand(args.lane.device, &by).await?;
            print_lane(&ledger, args.lane.device, "Halted.", out).await?;
        }
        LanesCommand::Resume(args) => {
            let (ledger, by) = open(&args.lane, operator).await?;
            ledger.resume_lane(args.lane.device, &by).await?;
            wake_over_broker(&ledger, &args.amqp, args.lane.device).await;
            print_lane(&ledger, args.lane.device, "Resumed.", out).await?;
        }
        LanesCommand::Resolve(args) => resolve(&args, operator, out).await?,
        LanesCommand::SetAside(args) => set_aside(&args, operator, out).await?,
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn open(args: &LaneArgs, operator: String) -> Result<(Ledger, OperatorAction)> {
    let ledger = session::open_ledger(&args.database).await?;
    Ok((
        ledger,
        OperatorAction {
            operator,
            reason: args.reason.clone(),
        },
    ))
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

async fn list(database: &DatabaseArgs, out: Output) -> Result<()> {
    let ledger = session::open_ledger(database).await?;
    let lanes = ledger.lane_statuses().await?;
    if !out.is_json() {
        out.line(&(), || {
            if lanes.is_empty() {
                "No devices.".to_owned()
            } else {
                heading()
            }
        });
    }
    for lane in &lanes {
        out.line(lane, || row(lane));
    }
    Ok(())
}

/// Prints what was done and how the lane is now.
async fn print_lane(ledger: &Ledger, device: DeviceId, done: &str, out: Output) -> Result<()> {
    if let Some(lane) = ledger.lane_status(device).await? {
        out.line(&lane, || format!("{done}\n{}\n{}", heading(), row(&lane)));
    }
    Ok(())
}

fn heading() -> String {
    format!(
        "{:36}  {:12}  {:11}  {:6}  {:8}  {:>7}  {:>7}  {:>6}  {:>6}  {:>10}  WHY",
        "DEVICE", "MERCHANT", "PIN", "BRANCH", "STATE", "NEXT", "PENDING", "OUT", "DEAD", "OLDEST"
    )
}

fn row(lane: &LaneStatus) -> String {
    let oldest = lane
        .oldest_pending_seconds
        .map_or_else(|| "-".to_owned(), |seconds| format!("{seconds} s"));
    format!(
        "{:36}  {:12}  {:11}  {:6}  {:8}  {:>7}  {:>7}  {:>6}  {:>6}  {oldest:>10}  {}",
        lane.device_id.to_string(),
        lane.merchant,
        lane.pin,
        lane.branch,
        lane.lane_state.as_str(),
        lane.next_invoice_no,
        lane.pending,
        lane.submitting,
        lane.dead,
        lane.halt_reason
            .as_deref()
            .or(lane.last_outcome.as_deref())
            .unwrap_or("-"),
    )
}
