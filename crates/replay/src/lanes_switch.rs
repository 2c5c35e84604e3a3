//! The commands `lanes halt` and `lanes resume`, for devices that are named or for all that filters
//! take.

use std::process::ExitCode;

use anyhow::Result;
use risiti_domain::DeviceId;
use risiti_ledger::{LaneRefusal, LaneStatus, Ledger, OperatorAction};
use risiti_queue::Broker;
use risiti_service::{AmqpArgs, Context};
use serde_json::json;

use crate::confirm::{self, Answer};
use crate::lanes_cli::LaneSelectionArgs;
use crate::lanes_list::{self, heading};
use crate::output::Output;
use crate::session;
use crate::wake_up::wake_lane;

/// What is done to the lanes.
#[derive(Clone, Copy)]
pub(crate) enum Switch<'a> {
    Halt,
    /// With the broker that their wake-ups go to.
    Resume(&'a AmqpArgs),
}

impl Switch<'_> {
    /// The state that a lane must be in.
    fn fits(self, lane: &LaneStatus) -> bool {
        lane.halt_reason.is_some() == matches!(self, Self::Resume(_))
    }

    fn question(self, count: usize) -> String {
        match self {
            Self::Halt => format!("Halt {count} lanes?"),
            Self::Resume(_) => format!("Resume {count} lanes?"),
        }
    }

    fn done(self) -> &'static str {
        match self {
            Self::Halt => "Halted.",
            Self::Resume(_) => "Resumed.",
        }
    }
}

pub(crate) async fn run(
    args: &LaneSelectionArgs,
    switch: Switch<'_>,
    operator: String,
    out: Output,
    context: &Context,
) -> Result<ExitCode> {
    let by_filter = args.devices.is_empty();
    if by_filter && !args.yes && !args.dry_run && !confirm::can_ask() {
        return Ok(confirm::refuse_without_terminal(out));
    }
    let ledger = session::open_ledger(&args.database).await?;
    let lanes = selected(&ledger, args, switch).await?;
    if args.dry_run {
        lanes_list::show(&lanes, out);
        out.note(&format!("{} lanes; nothing was changed.", lanes.len()));
        return Ok(ExitCode::SUCCESS);
    }
    if by_filter && !args.yes && !lanes.is_empty() {
        for lane in &lanes {
            out.note(&lanes_list::text(lane));
        }
        let question = switch.question(lanes.len());
        if confirm::ask(question, &context.shutdown).await == Answer::No {
            out.note("Nothing was changed.");
            return Ok(ExitCode::SUCCESS);
        }
    }

    let by = OperatorAction {
        operator,
        reason: args.reason.clone(),
    };
    let broker = match switch {
        Switch::Halt => None,
        Switch::Resume(amqp) => wake_up_broker(amqp).await,
    };
    let switching = Switching {
        ledger: &ledger,
        switch,
        by: &by,
        broker: broker.as_ref(),
        out,
        context,
    };
    let code = if by_filter {
        switching.all(&lanes).await?
    } else {
        switching.named(&lanes).await?
    };
    if let Some(broker) = broker {
        broker.close().await;
    }
    Ok(code)
}

/// The lanes that are named, or those that the filters take and the command fits.
async fn selected(
    ledger: &Ledger,
    args: &LaneSelectionArgs,
    switch: Switch<'_>,
) -> Result<Vec<LaneStatus>> {
    if args.devices.is_empty() {
        let mut lanes = ledger.lanes_of(&args.filter()).await?;
        lanes.retain(|lane| switch.fits(lane));
        return Ok(lanes);
    }
    let mut lanes = Vec::new();
    for device in &args.devices {
        lanes.push(named_lane(ledger, device).await?);
    }
    Ok(lanes)
}

/// The lane of a device's id, or of a merchant with one device.
async fn named_lane(ledger: &Ledger, name: &str) -> Result<LaneStatus> {
    let device = ledger.device_named(name).await?;
    let lane = ledger.lane_status(device).await?;
    Ok(lane.ok_or(LaneRefusal::NoSuchDevice)?)
}

/// The broker for wake-ups. When it is away, they are left to the wake loop.
async fn wake_up_broker(amqp: &AmqpArgs) -> Option<Broker> {
    match session::connect_broker(amqp).await {
        Ok(broker) => Some(broker),
        Err(error) => {
            tracing::debug!("failed to wake lanes, leaving them to the wake loop: {error:#}");
            None
        }
    }
}

struct Switching<'a> {
    ledger: &'a Ledger,
    switch: Switch<'a>,
    by: &'a OperatorAction,
    broker: Option<&'a Broker>,
    out: Output,
    context: &'a Context,
}

impl Switching<'_> {
    /// Switches lanes that are named, and stops at the first that is refused.
    async fn named(&self, lanes: &[LaneStatus]) -> Result<ExitCode> {
        for lane in lanes {
            self.switch(lane.device_id).await?;
            if let Some(lane) = self.ledger.lane_status(lane.device_id).await? {
                self.out.line(&lane, || {
                    let done = self.switch.done();
                    format!("{done}\n{}\n{}", heading(), lanes_list::text(&lane))
                });
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Switches lanes one by one. A signal ends it between two of them.
    async fn all(&self, lanes: &[LaneStatus]) -> Result<ExitCode> {
        let (mut done, mut failed) = (0_u64, 0_u64);
        for lane in lanes {
            if self.context.shutdown.is_cancelled() {
                self.out
                    .note("Stopped by a signal; the other lanes are untouched.");
                break;
            }
            match self.switch(lane.device_id).await {
                Ok(()) => done += 1,
                Err(refusal) => {
                    failed += 1;
                    self.out.note(&format!("{}: {refusal}", lane.device_id));
                }
            }
        }
        let report = json!({ "matched": lanes.len(), "done": done, "failed": failed });
        self.out.line(&report, || {
            format!(
                "{} lanes matched: {done} done, {failed} refused.",
                lanes.len()
            )
        });
        Ok(if failed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    async fn switch(&self, device: DeviceId) -> Result<(), LaneRefusal> {
        match self.switch {
            Switch::Halt => self.ledger.halt_lane_by_hand(device, self.by).await?,
            Switch::Resume(amqp) => {
                self.ledger.resume_lane(device, self.by).await?;
                if let Some(broker) = self.broker {
                    let publisher = broker.publisher();
                    wake_lane(self.ledger, &publisher, amqp.publish_timeout, device).await;
                }
            }
        }
        Ok(())
    }
}
