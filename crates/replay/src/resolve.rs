//! The command `lanes resolve`.

use anyhow::Result;
use risiti_ledger::ResolvedThrough;
use serde_json::json;

use crate::lanes::{self, wake_over_broker};
use crate::lanes_cli::{LaneResolveArgs, Numbers};
use crate::output::Output;

pub(crate) async fn resolve(args: &LaneResolveArgs, operator: String, out: Output) -> Result<()> {
    match args.numbers() {
        Numbers::One(number) => resolve_one(args, number, operator, out).await,
        Numbers::Through(through) => resolve_through(args, through, operator, out).await,
    }
}

async fn resolve_one(
    args: &LaneResolveArgs,
    number: i64,
    operator: String,
    out: Output,
) -> Result<()> {
    let (ledger, device, by) = lanes::open(&args.lane, operator).await?;
    let resolved = ledger
        .resolve_lane(device, &args.resolution(number), args.mode(), &by)
        .await?;
    if !args.dry_run {
        wake_over_broker(&ledger, &args.amqp, device).await;
    }
    if args.lacks_signature() {
        out.note(
            "note: without --signature and --internal-data, which KRA's portal shows, the receipt has no address to \
             check it and cannot be printed. They cannot be added later.",
        );
    }
    let object = json!({
        "device_id": device,
        "invoice_no": number,
        "invoice_id": resolved.invoice,
        "next_invoice_no": resolved.next_invoice_no,
        "dry_run": args.dry_run,
    });
    out.line(&object, || {
        let invoice = match (resolved.invoice, args.receipt_no()) {
            (Some(id), Some(receipt)) if args.dry_run => {
                format!(" Invoice {id} would have KRA's receipt {receipt}.")
            }
            (Some(id), Some(receipt)) => format!(" Invoice {id} has KRA's receipt {receipt}."),
            (Some(id), None) if args.dry_run => format!(" Invoice {id} would wait again."),
            (Some(id), None) => format!(" Invoice {id} waits again."),
            (None, _) => String::new(),
        };
        let next = resolved.next_invoice_no;
        if args.dry_run {
            format!("The lane would go on with number {next}.{invoice} Nothing was changed.")
        } else {
            format!("Settled; the lane goes on with number {next}.{invoice}")
        }
    });
    Ok(())
}

async fn resolve_through(
    args: &LaneResolveArgs,
    through: i64,
    operator: String,
    out: Output,
) -> Result<()> {
    let (ledger, device, by) = lanes::open(&args.lane, operator).await?;
    let resolved = ledger
        .resolve_lane_through(device, through, args.on_contradiction(), args.mode(), &by)
        .await?;
    if !args.dry_run {
        wake_over_broker(&ledger, &args.amqp, device).await;
    }
    let object = json!({
        "device_id": device,
        "from": resolved.from,
        "through": through,
        "invoice_id": resolved.invoice,
        "unanswered": resolved.unanswered,
        "next_invoice_no": through + 1,
        "dry_run": args.dry_run,
    });
    out.line(&object, || text(&resolved, args.dry_run));
    Ok(())
}

/// What was or would be done, and what KRA may have of ours among the numbers.
fn text(resolved: &ResolvedThrough, dry_run: bool) -> String {
    let ResolvedThrough {
        from,
        through,
        invoice,
        unanswered,
    } = resolved;
    let next = through + 1;
    let mut lines = vec![if dry_run {
        format!(
            "Numbers {from} through {through} would be another system's, and the lane would go on with {next}. \
             Nothing was changed."
        )
    } else {
        format!(
            "Settled: numbers {from} through {through} are another system's, and the lane goes on with {next}."
        )
    }];
    lines.extend(
        invoice.iter().map(|id| {
            format!("  invoice {id} gives its number back and is filed under a later one")
        }),
    );
    lines.extend(unanswered.iter().map(|send| {
        format!(
            "  invoice {} was sent under {} at {:.0} and never answered: if KRA has it there, it is filed twice",
            send.invoice_id, send.invoice_no, send.last_sent_at
        )
    }));
    lines.join("\n")
}
