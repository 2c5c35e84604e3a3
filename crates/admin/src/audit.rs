//! `audit`: what people changed, when and why.

use std::env;

use anyhow::Result;
use clap::Args;
use jiff::Timestamp;
use risiti_ledger::{AuditEntry, AuditFilter, plain};
use risiti_service::parse_since;
use serde_json::{Value, json};

use crate::session::Session;

const PAGE_SIZE: u32 = 500;
const OPERATOR_FLAG: &str = "--operator";

#[derive(Args, Debug)]
pub(crate) struct AuditArgs {
    /// Only since then: an age (2s, 15m, 24h) or a moment (RFC 3339)
    #[arg(long, value_parser = parse_since, value_name = "WHEN")]
    since: Option<Timestamp>,
}

/// Reads a page at a time, so that a long history costs no memory.
pub(crate) async fn run(session: &Session, args: &AuditArgs) -> Result<()> {
    let filter = AuditFilter {
        since: args.since,
        operator: asked_operator(session),
    };
    let mut last: Option<AuditEntry> = None;
    loop {
        let page = session
            .ledger
            .audit_page(&filter, last.as_ref(), PAGE_SIZE)
            .await?;
        for entry in &page {
            session.out.object(&json!(entry), &text(entry));
        }
        match page.into_iter().next_back() {
            Some(entry) => last = Some(entry),
            None => break,
        }
    }
    if last.is_none() {
        session.out.note("Nothing was changed.");
    }
    Ok(())
}

/// Whose changes to list. The flag says so, and the variable does not: it names who runs this.
fn asked_operator(session: &Session) -> Option<String> {
    let is_flag = |arg: &str| {
        let rest = arg.strip_prefix(OPERATOR_FLAG);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    };
    env::args_os()
        .any(|arg| arg.to_str().is_some_and(is_flag))
        .then(|| session.operator.clone())
}

fn text(entry: &AuditEntry) -> String {
    let subject = fields(&entry.subject, plain);
    let mut text = format!(
        "{:.0}  {}  {}  {subject}",
        entry.at, entry.operator, entry.command
    );
    if let Some(changes) = &entry.changes {
        text += &format!("\n    {}", fields(changes, change));
    }
    if let Some(matched) = entry.matched.filter(|matched| *matched > 1) {
        let [done, skipped, failed] =
            [entry.done, entry.skipped, entry.failed].map(Option::unwrap_or_default);
        text +=
            &format!("\n    {matched} matched: {done} done, {skipped} skipped, {failed} failed");
    }
    if entry.ended_at.is_none() {
        text += "\n    not ended: it runs, or it was killed";
    }
    if let Some(reason) = &entry.reason {
        text += &format!("\n    why: {reason}");
    }
    text
}

fn fields(of: &Value, show: impl Fn(&Value) -> String) -> String {
    let fields = of.as_object().into_iter().flatten();
    let fields: Vec<String> = fields
        .map(|(name, value)| format!("{name}: {}", show(value)))
        .collect();
    fields.join(", ")
}

/// A change as `old → new`, or the word that stands for a secret's change.
fn change(value: &Value) -> String {
    let shown = |value: &Value| match plain(value) {
        text if text.is_empty() => "none".to_owned(),
        text => text,
    };
    match value.as_array().map(Vec::as_slice) {
        Some([old, new]) => format!("{} → {}", shown(old), shown(new)),
        _ => plain(value),
    }
}
