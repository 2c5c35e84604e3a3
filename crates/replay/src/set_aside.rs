//! The command `lanes set-aside`: the message of the dead letter, then its row (protocol E1).

use anyhow::{Context as _, Result};
use risiti_domain::DeadCause;
use risiti_ledger::{InvoiceToSetAside, invoice_dead_letter_id};
use risiti_queue::{DeadLetterFacts, Message, Target};
use serde_json::json;

use crate::lanes;
use crate::lanes_cli::LaneSetAsideArgs;
use crate::output::Output;
use crate::session;
use crate::wake_up::wake_lane;

pub(crate) async fn set_aside(
    args: &LaneSetAsideArgs,
    operator: String,
    out: Output,
) -> Result<()> {
    let (ledger, device, by) = lanes::open(&args.lane, operator).await?;
    let found = ledger.invoice_to_set_aside(device, args.invoice).await?;

    let broker = session::connect_broker(&args.amqp).await?;
    let publisher = broker.publisher();
    publisher
        .publish(
            Target::Dead,
            message(&found, &by.reason),
            args.amqp.publish_timeout,
        )
        .await
        .context("the broker did not take the dead letter, so nothing was changed")?;
    ledger.set_invoice_aside(&found, &by).await?;
    wake_lane(&ledger, &publisher, args.amqp.publish_timeout, device).await;
    broker.close().await;

    let halted = ledger
        .lane_status(device)
        .await?
        .is_some_and(|lane| lane.halt_reason.is_some());
    let object = json!({
        "device_id": device,
        "invoice_id": args.invoice,
        "dead_letter_id": invoice_dead_letter_id(args.invoice),
        "invoice_no": found.invoice_no,
        "halted": halted,
    });
    out.line(&object, || {
        let number = match found.invoice_no {
            Some(number) => format!(" and gave number {number} back"),
            None => String::new(),
        };
        let lane = if halted {
            format!(
                "The lane is still halted: `risiti-replay lanes resume {device}` lets it go on."
            )
        } else {
            "The lane goes on without it.".to_owned()
        };
        format!("Invoice {} is a dead letter{number}. {lane}", args.invoice)
    });
    Ok(())
}

fn message(found: &InvoiceToSetAside, reason: &str) -> Message {
    let facts = DeadLetterFacts {
        id: invoice_dead_letter_id(found.invoice),
        cause: DeadCause::SetAside.to_string(),
        message: found.message(reason),
        code: found.last_code.clone(),
        attempts: Some(found.attempts),
        event_id: found.event_id,
        merchant_id: Some(found.merchant_id),
        invoice_id: Some(found.invoice.uuid()),
        device_id: Some(found.device.uuid()),
        replays: None,
    };
    let body = found.body.clone().unwrap_or_else(|| b"{}".to_vec());
    Message::dead_letter(&facts, std::collections::BTreeMap::default(), body.into())
}
