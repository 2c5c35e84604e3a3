//! `find`: what became of a payment, from what a customer or a log says.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use risiti_ledger::story_text;

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
        // A payment may be on its way.
        let hint = session.ledger.newest_webhook_hint().await?;
        session
            .out
            .problem(&format!("nothing is recorded under that. {hint}"));
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
