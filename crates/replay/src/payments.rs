//! The commands `payments list` and `show`, and what `settle` and `dismiss` share with them.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use risiti_domain::PaymentId;
use risiti_ledger::{
    Contradiction, FlaggedFilter, FlaggedPayment, Ledger, Settling, flag_reason, plain,
};
use risiti_service::Context;
use serde_json::Value;

use crate::list::warn_of_unknown_merchant;
use crate::output::{Output, Reader};
use crate::payments_cli::{PaymentsCommand, PaymentsListArgs, PaymentsShowArgs};
use crate::payments_decide::{dismiss, settle};
use crate::session;

const PAGE_SIZE: u32 = 500;

pub(crate) async fn run(
    command: PaymentsCommand,
    operator: String,
    out: Output,
    context: &Context,
) -> Result<ExitCode> {
    match command {
        PaymentsCommand::List(args) => list(&args, out).await,
        PaymentsCommand::Show(args) => show(args, out).await,
        PaymentsCommand::Settle(args) => settle(args, operator, out, context).await,
        PaymentsCommand::Dismiss(args) => dismiss(args, operator, out, context).await,
    }
}

/// The flagged payments that a filter takes, a page at a time.
pub(crate) struct FlaggedPages<'a> {
    ledger: &'a Ledger,
    filter: &'a FlaggedFilter,
    last: Option<FlaggedPayment>,
}

impl<'a> FlaggedPages<'a> {
    pub(crate) fn new(ledger: &'a Ledger, filter: &'a FlaggedFilter) -> Self {
        Self {
            ledger,
            filter,
            last: None,
        }
    }

    /// Returns the next page, or `None` at the end. A page is never empty.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<FlaggedPayment>>> {
        let page = self
            .ledger
            .flagged_payments(self.filter, self.last.as_ref(), PAGE_SIZE)
            .await?;
        self.last = page.last().cloned().or(self.last.take());
        Ok(Some(page).filter(|page| !page.is_empty()))
    }
}

async fn list(args: &PaymentsListArgs, out: Output) -> Result<ExitCode> {
    let ledger = session::open_ledger(&args.database).await?;
    let filter = args.filter.filter();
    warn_of_unknown_merchant(&ledger, filter.merchant.as_deref(), out).await?;
    let mut pages = FlaggedPages::new(&ledger, &filter);
    let mut shown = 0;
    while let Some(page) = pages.next().await? {
        if shown == 0 && !out.is_json() {
            out.line(&(), heading);
        }
        for payment in &page {
            if out.line(payment, || row(payment)) == Reader::Gone {
                return Ok(ExitCode::SUCCESS);
            }
        }
        shown += page.len();
    }
    if shown == 0 && !out.is_json() {
        out.line(&(), || "No flagged payments.".to_owned());
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(args: PaymentsShowArgs, out: Output) -> Result<ExitCode> {
    let ledger = session::open_ledger(&args.list.database).await?;
    let mut filter = args.list.filter.filter();
    if add_named(&ledger, &args.named, &mut filter, out).await? == NamedPayments::NotFound {
        return Ok(ExitCode::FAILURE);
    }
    if !filter.ids.is_empty() {
        return show_named(&ledger, &filter, out).await;
    }
    warn_of_unknown_merchant(&ledger, filter.merchant.as_deref(), out).await?;
    let mut pages = FlaggedPages::new(&ledger, &filter);
    while let Some(page) = pages.next().await? {
        for payment in &page {
            let evidence = evidence(&ledger, payment.payment_id).await?;
            if let Some(evidence) = evidence
                && out.line(&evidence, || full_record(&evidence)) == Reader::Gone
            {
                return Ok(ExitCode::SUCCESS);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether every text on the command line leads to one payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NamedPayments {
    Found,
    /// The reason is printed.
    NotFound,
}

/// Adds the payments that the command line names to the filter. Each text has to lead to exactly
/// one.
pub(crate) async fn add_named(
    ledger: &Ledger,
    named: &[String],
    filter: &mut FlaggedFilter,
    out: Output,
) -> Result<NamedPayments> {
    let mut all = NamedPayments::Found;
    for text in named {
        let payments = ledger
            .payments_named(text, filter.merchant.as_deref())
            .await?;
        match payments[..] {
            [payment] => filter.ids.push(payment.uuid()),
            [] => {
                out.problem(&format!("there is no payment under {text}"));
                all = NamedPayments::NotFound;
            }
            _ => {
                let count = payments.len();
                out.problem(&format!(
                    "{text} leads to {count} payments or more. Name one with --id: risiti-replay show {text}"
                ));
                all = NamedPayments::NotFound;
            }
        }
    }
    Ok(all)
}

/// The evidence of a payment, with the facts that messages tell otherwise.
async fn evidence(ledger: &Ledger, payment: PaymentId) -> Result<Option<Value>> {
    let Some(mut evidence) = ledger.payment_evidence(payment).await? else {
        return Ok(None);
    };
    let contradictions = ledger.contradictions(payment).await?;
    evidence["contradictions"] = contradictions.iter().map(Contradiction::json).collect();
    Ok(Some(evidence))
}

/// Shows payments that are named, flagged or not.
async fn show_named(ledger: &Ledger, filter: &FlaggedFilter, out: Output) -> Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    for id in &filter.ids {
        match evidence(ledger, PaymentId::from_uuid(*id)).await? {
            Some(evidence) => {
                out.line(&evidence, || full_record(&evidence));
            }
            None => {
                out.problem(&format!("there is no payment {id}"));
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}

pub(crate) fn heading() -> String {
    format!(
        "{:36}  {:20}  {:12}  {:8}  {:8}  {:>14}  {:14}  {:14}  WHY",
        "PAYMENT", "FLAGGED", "MERCHANT", "PROVIDER", "STATE", "AMOUNT", "RECEIPT", "SETTLE"
    )
}

pub(crate) fn row(payment: &FlaggedPayment) -> String {
    let amount = match (payment.amount, &payment.currency) {
        (Some(amount), Some(currency)) => format!("{currency} {amount}"),
        _ => "-".to_owned(),
    };
    let flagged_at = payment
        .flagged_at
        .map_or_else(|| "-".to_owned(), |at| format!("{at:.0}"));
    let settling = match payment.settling {
        Settling::CountsItAsPaid => "counts as paid",
        Settling::CreditsWhatWentBack => "credits it",
        Settling::CountsOnceRegistered => "provider add",
        Settling::Nothing => "-",
    };
    format!(
        "{:36}  {flagged_at:20}  {:12}  {:8}  {:8}  {amount:>14}  {:14}  {settling:14}  {}",
        payment.payment_id.to_string(),
        payment.merchant,
        payment.provider.as_str(),
        payment.state.as_str(),
        payment.receipt.as_deref().unwrap_or("-"),
        flag_reason(
            payment.reason.as_deref().unwrap_or("-"),
            &payment.merchant,
            payment.short_code.as_deref(),
        ),
    )
}

fn full_record(record: &Value) -> String {
    let row = &record["payment"];
    let mut text = format!("Payment {}\n", plain(&row["id"]));
    for (name, key) in [
        ("merchant", "merchant"),
        ("provider", "provider"),
        ("state", "state"),
        ("amount", "amount"),
        ("currency", "currency"),
        ("receipt", "receipt"),
        ("short code", "short_code"),
        ("paid by", "payer_short_code"),
        ("occurred", "occurred_at"),
        ("recorded", "recorded_at"),
        ("flagged", "flagged_at"),
    ] {
        if !row[key].is_null() {
            writeln!(text, "  {name:10} {}", plain(&row[key])).ok();
        }
    }
    if !row["reason"].is_null() {
        let short_code = row["short_code"].as_str();
        let why = flag_reason(&plain(&row["reason"]), &plain(&row["merchant"]), short_code);
        writeln!(text, "  {:10} {why}", "why").ok();
    }
    for differs in record["contradictions"].as_array().into_iter().flatten() {
        writeln!(text, "  {:10} {}", "differs", plain(&differs["text"])).ok();
    }
    for (list, name, keys) in [
        (
            "events",
            "message",
            ["received_at", "kind", "event_id", "authenticated_by"],
        ),
        (
            "reversals",
            "went back",
            ["key", "amount", "state", "credited"],
        ),
        (
            "invoices",
            "invoice",
            ["kind", "amount", "state", "invoice_id"],
        ),
        (
            "transitions",
            "moved to",
            ["to_state", "at", "actor", "reason"],
        ),
    ] {
        for entry in record[list].as_array().into_iter().flatten() {
            let words = keys.map(|key| plain(&entry[key]));
            let flagged = if entry["flagged"] == true {
                "  flagged"
            } else {
                ""
            };
            writeln!(text, "  {name:10} {}{flagged}", words.join("  ").trim_end()).ok();
        }
    }
    text
}
