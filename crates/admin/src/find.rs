//! `find`: what became of a payment, from what a customer or a log says.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use risiti_ledger::{StatusSection, story_text};
use serde_json::Value;

use crate::session::Session;
use crate::values;

#[derive(Args, Debug)]
pub(crate) struct FindArgs {
    /// A receipt, a reference, a number or an id
    #[arg(value_parser = values::name, value_name = "TEXT")]
    text: String,

    /// Only this merchant's, for a text that many merchants may have
    #[arg(long, value_parser = values::slug, value_name = "SLUG")]
    merchant: Option<String>,
}

/// Exits with 1 when nothing is found.
pub(crate) async fn run(session: &Session, args: &FindArgs) -> Result<ExitCode> {
    let found = session
        .ledger
        .find_stories(&args.text, args.merchant.as_deref())
        .await?;
    for story in &found.stories {
        session.out.object(story, &story_text(story));
    }
    if found.more {
        session
            .out
            .note("There are more. Narrow the search with --merchant.");
    }
    if found.stories.is_empty() {
        let flow = session.ledger.status_section(StatusSection::Flow).await?;
        session.out.problem(&not_found(&flow));
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// A payment may be on its way, which is told from the newest webhook that is recorded.
fn not_found(flow: &Value) -> String {
    let newest = flow["last_webhook"].as_str().unwrap_or("never");
    format!(
        "nothing is recorded under that. The newest webhook that is recorded came {newest}; what \
         came later may wait in a queue or a spool: risiti-admin status"
    )
}
