//! The command `list`. It reads a page at a time, so that many dead letters cost no memory.

use std::process::ExitCode;

use anyhow::Result;
use risiti_ledger::{DeadLetter, DeadLetterFilter, DeadLetterGroup, Ledger, ListOrder};

use crate::cli::ListCommand;
use crate::output::{Output, Reader};
use crate::session;

const PAGE_SIZE: u32 = 500;

/// Groups are few, because they differ in more than numbers.
const GROUPS_MAX: u32 = 1_000;

pub(crate) async fn list(command: &ListCommand, out: Output) -> Result<ExitCode> {
    let args = &command.list;
    let ledger = session::open_ledger(&args.database).await?;
    let filter = args.filter.filter(&ledger).await?;
    warn_of_unknown_merchant(&ledger, filter.merchant.as_deref(), out).await?;
    if command.group {
        return list_groups(&ledger, &filter, args.limit, out).await;
    }
    let order = if command.newest {
        ListOrder::NewestFirst
    } else {
        ListOrder::OldestFirst
    };
    let mut pages = Pages::new(&ledger, &filter, args.limit).in_order(order);
    let mut shown = 0_u64;
    while let Some(page) = pages.next().await? {
        if shown == 0 && !out.is_json() {
            out.line(&(), heading);
        }
        for dead_letter in &page {
            if out.line(dead_letter, || row(dead_letter)) == Reader::Gone {
                return Ok(ExitCode::SUCCESS);
            }
        }
        shown += page.len() as u64;
    }
    if shown == 0 && !out.is_json() {
        out.line(&(), || "No dead letters.".to_owned());
    }
    Ok(ExitCode::SUCCESS)
}

async fn list_groups(
    ledger: &Ledger,
    filter: &DeadLetterFilter,
    limit: Option<u64>,
    out: Output,
) -> Result<ExitCode> {
    let limit = limit.and_then(|limit| u32::try_from(limit).ok());
    let limit = limit.unwrap_or(GROUPS_MAX).min(GROUPS_MAX);
    let groups = ledger.dead_letter_groups(filter, limit).await?;
    if !out.is_json() {
        let heading = || {
            format!(
                "{:>8}  {:12}  {:10}  {:6}  {:20}  {:20}  {:36}  WHY",
                "COUNT", "MERCHANT", "CAUSE", "CODE", "OLDEST", "NEWEST", "ONE OF THEM"
            )
        };
        let nothing = || "No dead letters.".to_owned();
        match groups.is_empty() {
            true => out.line(&(), nothing),
            false => out.line(&(), heading),
        };
    }
    for group in &groups {
        if out.line(group, || group_row(group)) == Reader::Gone {
            break;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn group_row(group: &DeadLetterGroup) -> String {
    format!(
        "{:>8}  {:12}  {:10}  {:6}  {:20}  {:20}  {:36}  {}",
        group.count,
        group.merchant.as_deref().unwrap_or("-"),
        group.cause.as_str(),
        group.code.as_deref().unwrap_or("-"),
        format!("{:.0}", group.oldest),
        format!("{:.0}", group.newest),
        group.sample,
        group.message.as_deref().unwrap_or("-"),
    )
}

/// Warns of a merchant that does not exist. A typing mistake must not look like an empty list.
pub(crate) async fn warn_of_unknown_merchant(
    ledger: &Ledger,
    merchant: Option<&str>,
    out: Output,
) -> Result<()> {
    if let Some(slug) = merchant
        && !ledger.merchant_exists(slug).await?
    {
        out.note(&format!("warning: there is no merchant {slug}"));
    }
    Ok(())
}

/// The dead letters that a filter takes, oldest first unless it is said otherwise, a page at a time.
pub(crate) struct Pages<'a> {
    ledger: &'a Ledger,
    filter: &'a DeadLetterFilter,
    order: ListOrder,
    last: Option<DeadLetter>,
    left: u64,
}

impl<'a> Pages<'a> {
    pub(crate) fn new(
        ledger: &'a Ledger,
        filter: &'a DeadLetterFilter,
        limit: Option<u64>,
    ) -> Self {
        Self {
            ledger,
            filter,
            order: ListOrder::OldestFirst,
            last: None,
            left: limit.unwrap_or(u64::MAX),
        }
    }

    pub(crate) fn in_order(self, order: ListOrder) -> Self {
        Self { order, ..self }
    }

    /// Returns the next page, or `None` at the end. A page is never empty.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<DeadLetter>>> {
        let size = u32::try_from(self.left).unwrap_or(PAGE_SIZE).min(PAGE_SIZE);
        if size == 0 {
            return Ok(None);
        }
        let page = self
            .ledger
            .dead_letters(self.filter, self.order, self.last.as_ref(), size)
            .await?;
        self.left -= page.len() as u64;
        self.last = page.last().cloned().or(self.last.take());
        Ok(Some(page).filter(|page| !page.is_empty()))
    }
}

fn heading() -> String {
    format!(
        "{:36}  {:20}  {:12}  {:10}  {:6}  {:>14}  {:12}  {:>7}  WHY",
        "DEAD LETTER", "DIED", "MERCHANT", "CAUSE", "CODE", "AMOUNT", "RECEIPT", "REPLAYS"
    )
}

pub(crate) fn row(dead_letter: &DeadLetter) -> String {
    let amount = match (dead_letter.amount, &dead_letter.currency) {
        (Some(amount), Some(currency)) => format!("{currency} {amount}"),
        _ => "-".to_owned(),
    };
    let why = dead_letter.message.as_deref().unwrap_or("-");
    let why = match &dead_letter.discard_wish {
        Some(wish) => format!("(to be discarded: {wish}) {why}"),
        None => why.to_owned(),
    };
    format!(
        "{:36}  {:20}  {:12}  {:10}  {:6}  {amount:>14}  {:12}  {:>7}  {why}",
        dead_letter.dead_letter_id,
        format!("{:.0}", dead_letter.dead_at),
        dead_letter.merchant.as_deref().unwrap_or("-"),
        dead_letter.cause.as_str(),
        dead_letter.code.as_deref().unwrap_or("-"),
        dead_letter.receipt.as_deref().unwrap_or("-"),
        dead_letter.replays,
    )
}
