//! The command `list --waiting`: invoices that wait to be filed, which `discard --waiting` takes.

use std::process::ExitCode;

use anyhow::Result;
use risiti_ledger::{Ledger, WaitingFilter, WaitingInvoice};

use crate::cli::ListArgs;
use crate::list::warn_of_unknown_merchant;
use crate::output::{Output, Reader};
use crate::session;

const PAGE_SIZE: u32 = 500;

pub(crate) async fn list(args: &ListArgs, out: Output) -> Result<ExitCode> {
    let ledger = session::open_ledger(&args.database).await?;
    let filter = args.filter.waiting_filter(&ledger).await?;
    warn_of_unknown_merchant(&ledger, filter.merchant.as_deref(), out).await?;
    let mut pages = WaitingPages::new(&ledger, &filter);
    let limit = args.limit.unwrap_or(u64::MAX);
    let mut shown = 0_u64;
    while shown < limit
        && let Some(page) = pages.next().await?
    {
        if shown == 0 && !out.is_json() {
            out.line(&(), heading);
        }
        for invoice in page {
            if shown == limit || out.line(&invoice, || row(&invoice)) == Reader::Gone {
                return Ok(ExitCode::SUCCESS);
            }
            shown += 1;
        }
    }
    if shown == 0 && !out.is_json() {
        out.line(&(), || "No invoice waits.".to_owned());
    }
    Ok(ExitCode::SUCCESS)
}

/// The invoices that wait and that a filter takes, oldest first, a page at a time.
pub(crate) struct WaitingPages<'a> {
    ledger: &'a Ledger,
    filter: &'a WaitingFilter,
    last: Option<WaitingInvoice>,
}

impl<'a> WaitingPages<'a> {
    pub(crate) fn new(ledger: &'a Ledger, filter: &'a WaitingFilter) -> Self {
        Self {
            ledger,
            filter,
            last: None,
        }
    }

    /// Returns the next page, or `None` at the end. A page is never empty.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<WaitingInvoice>>> {
        let page = self
            .ledger
            .waiting_invoices(self.filter, self.last.as_ref(), PAGE_SIZE)
            .await?;
        self.last = page.last().cloned().or(self.last.take());
        Ok(Some(page).filter(|page| !page.is_empty()))
    }
}

pub(crate) fn heading() -> String {
    format!(
        "{:36}  {:20}  {:12}  {:11}  {:>14}  {:12}  {:10}  {:36}  LANE",
        "INVOICE", "SINCE", "MERCHANT", "KIND", "AMOUNT", "RECEIPT", "AT KRA", "DEVICE"
    )
}

pub(crate) fn row(invoice: &WaitingInvoice) -> String {
    let at_kra = if invoice.may_be_at_kra {
        "may be"
    } else {
        "never sent"
    };
    format!(
        "{:36}  {:20}  {:12}  {:11}  {:>14}  {:12}  {at_kra:10}  {:36}  {}",
        invoice.invoice_id.to_string(),
        format!("{:.0}", invoice.created_at),
        invoice.merchant,
        invoice.kind.replace('_', " "),
        format!("{} {}", invoice.currency, invoice.amount),
        invoice.receipt.as_deref().unwrap_or("-"),
        invoice.device_id.to_string(),
        invoice.lane_state,
    )
}
