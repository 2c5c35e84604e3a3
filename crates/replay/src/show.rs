//! The command `show`: everything that is known of a dead letter.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use risiti_domain::PaymentId;
use risiti_ledger::{
    Contradiction, DeadLetter, DeadLetterFilter, DeadLetterScope, Ledger, plain, story_text,
};
use serde_json::Value;
use uuid::Uuid;

use crate::cli::ShowArgs;
use crate::list::{Pages, warn_of_unknown_merchant};
use crate::not_dead::{NamedIds, Wanted, tell_of_not_dead};
use crate::output::{Output, Reader};
use crate::session;

pub(crate) async fn show(args: ShowArgs, out: Output) -> Result<ExitCode> {
    let ledger = session::open_ledger(&args.list.database).await?;
    let mut filter = args.list.filter.filter(&ledger).await?;
    warn_of_unknown_merchant(&ledger, filter.merchant.as_deref(), out).await?;
    let named_ids = args
        .named
        .iter()
        .filter_map(|text| text.parse::<Uuid>().ok());
    filter.ids.extend(named_ids);
    // A dead letter that is named is shown even when it is solved.
    if !filter.ids.is_empty() {
        filter.scope = DeadLetterScope::All;
    }

    let mut shown = HashSet::new();
    let lists = args.named.is_empty() || !filter.ids.is_empty();
    if lists
        && show_dead_letters(&ledger, &filter, args.list.limit, out, &mut shown).await?
            == Reader::Gone
    {
        return Ok(ExitCode::SUCCESS);
    }
    if args.named.is_empty() {
        return none_shown(&ledger, &filter, &shown, out).await;
    }

    let is_shown = |text: &str| text.parse::<Uuid>().is_ok_and(|id| shown.contains(&id));
    let mut missing = false;
    for text in args.named.iter().filter(|text| !is_shown(text)) {
        let found = ledger
            .find_stories(text, filter.merchant.as_deref())
            .await?;
        for mut story in found.stories.iter().cloned() {
            add_contradictions(&ledger, &mut story).await?;
            if out.line(&story, || story_text(&story)) == Reader::Gone {
                return Ok(ExitCode::SUCCESS);
            }
        }
        if found.more {
            out.note("There are more. Narrow them with --merchant.");
        }
        if found.stories.is_empty() {
            let hint = ledger.newest_webhook_hint().await?;
            out.problem(&format!("nothing is recorded under {text}. {hint}"));
            missing = true;
        }
    }
    Ok(if missing {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Adds the facts that messages of a flagged payment tell otherwise.
async fn add_contradictions(ledger: &Ledger, story: &mut Value) -> Result<()> {
    let payment = &story["payment"];
    if payment["flagged"] != true {
        return Ok(());
    }
    let Ok(id) = plain(&payment["payment_id"]).parse::<PaymentId>() else {
        return Ok(());
    };
    let contradictions = ledger.contradictions(id).await?;
    story["contradictions"] = contradictions.iter().map(Contradiction::json).collect();
    Ok(())
}

/// Shows the dead letters that the filter takes, and notes their ids.
async fn show_dead_letters(
    ledger: &Ledger,
    filter: &DeadLetterFilter,
    limit: Option<u64>,
    out: Output,
    shown: &mut HashSet<Uuid>,
) -> Result<Reader> {
    let mut pages = Pages::new(ledger, filter, limit);
    while let Some(page) = pages.next().await? {
        for dead_letter in &page {
            let id = dead_letter.dead_letter_id;
            let evidence = ledger.dead_letter_evidence(id, false).await?;
            let Some(evidence) = evidence else { continue };
            let reader = out.line(&evidence.record, || {
                full_record(dead_letter, &evidence.record)
            });
            if reader == Reader::Gone {
                return Ok(Reader::Gone);
            }
            shown.insert(id);
        }
    }
    Ok(Reader::Present)
}

async fn none_shown(
    ledger: &Ledger,
    filter: &DeadLetterFilter,
    shown: &HashSet<Uuid>,
    out: Output,
) -> Result<ExitCode> {
    if !filter.ids.is_empty() {
        let named = tell_of_not_dead(ledger, &filter.ids, filter.scope, Wanted::Show, out).await?;
        if named == NamedIds::AllFound && shown.is_empty() {
            out.problem("there is such a dead letter, and the filter leaves it out");
            return Ok(ExitCode::FAILURE);
        }
        return Ok(named.code());
    }
    if shown.is_empty() && !out.is_json() {
        out.line(&(), || "No dead letters.".to_owned());
    }
    Ok(ExitCode::SUCCESS)
}

fn full_record(dead_letter: &DeadLetter, record: &Value) -> String {
    let mut text = format!("Dead letter {}\n", dead_letter.dead_letter_id);
    let row = &record["dead_letter"];
    for (name, value) in [
        ("merchant", row["merchant"].clone()),
        ("cause", row["cause"].clone()),
        ("code", row["code"].clone()),
        ("why", row["message"].clone()),
        ("amount", row["amount"].clone()),
        ("died", row["dead_at"].clone()),
        ("deliveries", row["deliveries"].clone()),
        ("replays", row["replays"].clone()),
        ("solved as", row["solved_as"].clone()),
        ("solved by", row["solved_by"].clone()),
        ("reason", row["solved_reason"].clone()),
        ("to discard", Value::from(dead_letter.discard_wish.clone())),
        ("payment", record["payment"]["state"].clone()),
        ("receipt", record["payment"]["receipt"].clone()),
        ("invoice", record["invoice"]["state"].clone()),
        ("device", row["device_id"].clone()),
        ("event", row["event_id"].clone()),
    ] {
        if !value.is_null() {
            writeln!(text, "  {name:10} {}", plain(&value)).ok();
        }
    }
    let sends = record["submissions"].as_array().into_iter().flatten();
    for send in sends {
        let words = ["code", "message"].map(|key| plain(&send[key]));
        let number = &send["invoice_no"];
        let at = plain(&send["sent_at"]);
        let outcome = plain(&send["outcome"]);
        writeln!(
            text,
            "  sent       {at}  as number {number}: {outcome} {}",
            words.join(" ").trim()
        )
        .ok();
    }
    for moved in record["transitions"].as_array().into_iter().flatten() {
        let [at, from, to, actor, reason] =
            ["at", "from_state", "to_state", "actor", "reason"].map(|key| plain(&moved[key]));
        writeln!(
            text,
            "  moved      {at}  {from} → {to} by {actor}: {reason}"
        )
        .ok();
    }
    text
}
