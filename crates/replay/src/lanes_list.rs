//! The command `lanes list`, and lanes as the other commands show them.

use std::process::ExitCode;

use anyhow::Result;
use jiff::Timestamp;
use risiti_domain::LaneState;
use risiti_ledger::LaneStatus;

use crate::lanes_cli::LanesListArgs;
use crate::output::{Output, Reader};
use crate::session;

pub(crate) async fn list(args: &LanesListArgs, out: Output) -> Result<ExitCode> {
    let ledger = session::open_ledger(&args.database).await?;
    let filter = args.filter();
    if let Some(slug) = &filter.merchant
        && !ledger.merchant_exists(slug).await?
    {
        out.note(&format!("warning: there is no merchant {slug}"));
    }
    let mut lanes = ledger.lanes_of(&filter).await?;
    if args.waiting {
        lanes.retain(|lane| lane.lane_state == LaneState::Waiting);
    }
    if lanes.is_empty() && !out.is_json() {
        out.line(&(), || "No lanes.".to_owned());
    }
    show(&lanes, out);
    Ok(ExitCode::SUCCESS)
}

/// Prints lanes as a table, or one object a line.
pub(crate) fn show(lanes: &[LaneStatus], out: Output) {
    if !lanes.is_empty() && !out.is_json() {
        out.line(&(), heading);
    }
    for lane in lanes {
        if out.line(lane, || text(lane)) == Reader::Gone {
            return;
        }
    }
}

pub(crate) fn heading() -> String {
    format!(
        "{:36}  {:12}  {:11}  {:6}  {:8}  {:>8}  {:>7}  {:>6}  {:>6}  {:>8}  {:20}  {:7}  LAST ANSWER",
        "DEVICE",
        "MERCHANT",
        "PIN",
        "BRANCH",
        "STATE",
        "NEXT NO",
        "PENDING",
        "OUT",
        "DEAD",
        "OLDEST",
        "NEXT TRY",
        "BREAKER"
    )
}

/// One lane as a row. Below it stands why it is halted or what it waits for, and what to do first.
pub(crate) fn text(lane: &LaneStatus) -> String {
    let oldest = lane
        .oldest_seconds
        .map_or_else(|| "-".to_owned(), |seconds| format!("{seconds} s"));
    let row = format!(
        "{:36}  {:12}  {:11}  {:6}  {:8}  {:>8}  {:>7}  {:>6}  {:>6}  {oldest:>8}  {:20}  {:7}  {}",
        lane.device_id.to_string(),
        lane.merchant,
        lane.pin,
        lane.branch,
        lane.lane_state.as_str(),
        lane.next_invoice_no,
        lane.pending,
        lane.submitting,
        lane.dead,
        next_try(lane).map_or_else(|| "-".to_owned(), |at| format!("{at:.0}")),
        lane.breaker.as_deref().unwrap_or("-"),
        last_answer(lane),
    );
    let mut lines = vec![row];
    if let Some(reason) = &lane.halt_reason {
        lines.extend(halt_lines(lane, reason));
    }
    lines.extend(
        lane.progress
            .iter()
            .map(|progress| format!("    {progress}")),
    );
    let label = match lane.halt_reason {
        Some(_) => "first",
        None => "to settle it now",
    };
    let action = lane.first_action.iter();
    lines.extend(action.map(|action| format!("    {label}: {action}")));
    lines.join("\n")
}

/// When the lane is tried again: not before its host.
fn next_try(lane: &LaneStatus) -> Option<Timestamp> {
    if lane.lane_state != LaneState::Waiting {
        return None;
    }
    lane.retry_at.max(lane.host_retry_at)
}

/// KRA's code and words, or else how the last call ended.
fn last_answer(lane: &LaneStatus) -> String {
    let words = [&lane.last_code, &lane.last_message];
    let words: Vec<&str> = words.into_iter().flatten().map(String::as_str).collect();
    if words.is_empty() {
        return lane.last_outcome.clone().unwrap_or_else(|| "-".to_owned());
    }
    words.join(" ")
}

fn halt_lines(lane: &LaneStatus, reason: &str) -> Vec<String> {
    let since = lane
        .halted_at
        .map_or_else(String::new, |at| format!(" since {at:.0}"));
    let mut lines = vec![format!("    halted{since}: {reason}")];
    if let Some(held) = &lane.held {
        let number = held
            .invoice_no
            .map_or_else(String::new, |number| format!(" as number {number}"));
        let receipt = held.receipt.as_deref().unwrap_or("no receipt");
        lines.push(format!(
            "    out{number}: invoice {}, KES {}, customer's receipt {receipt}",
            held.invoice_id, held.amount
        ));
    }
    lines.extend(
        lane.evidence
            .iter()
            .map(|evidence| format!("    {evidence}")),
    );
    lines
}
