//! After a replay: what became of each invoice that it moved.

use std::time::Duration;

use anyhow::Result;
use risiti_domain::InvoiceId;
use risiti_ledger::{Ledger, invoice_state, plain};
use serde_json::Value;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::output::Output;

/// Invoices that are followed. Those of a longer run are found with `show`.
const FOLLOWED_MAX: usize = 1_000;

const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// The first invoices that a run moved.
#[derive(Default)]
pub(crate) struct MovedInvoices(Vec<Uuid>);

impl MovedInvoices {
    pub(crate) fn add(&mut self, invoice: InvoiceId) {
        if self.0.len() < FOLLOWED_MAX {
            self.0.push(invoice.uuid());
        }
    }
}

/// Prints each invoice as soon as it is filed or dead, and those that still wait when the time is
/// over. A signal ends it.
pub(crate) async fn follow(
    ledger: &Ledger,
    MovedInvoices(mut invoices): MovedInvoices,
    wait: Duration,
    out: Output,
    stop: &CancellationToken,
) -> Result<()> {
    let deadline = Instant::now() + wait;
    while !invoices.is_empty() {
        let over = Instant::now() >= deadline || stop.is_cancelled();
        for invoice in ledger.invoice_outcomes(&invoices).await? {
            if over || is_settled(&invoice) {
                show(&invoice, out);
                let id = plain(&invoice["invoice_id"]).parse::<Uuid>();
                invoices.retain(|waiting| Ok(*waiting) != id);
            }
        }
        if over {
            break;
        }
        stop.run_until_cancelled(sleep(LOOK_INTERVAL)).await;
    }
    Ok(())
}

fn is_settled(invoice: &Value) -> bool {
    !matches!(invoice["state"].as_str(), Some("pending" | "submitting"))
}

fn show(invoice: &Value, out: Output) {
    if out.is_json() {
        out.line(invoice, String::new);
    } else {
        let id = plain(&invoice["invoice_id"]);
        out.note(&format!("{id}: {}", invoice_state(invoice)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invoices_that_are_followed_are_bounded() {
        let mut moved = MovedInvoices::default();
        for _ in 0..=FOLLOWED_MAX {
            moved.add(InvoiceId::from_uuid(Uuid::now_v7()));
        }
        assert_eq!(moved.0.len(), FOLLOWED_MAX);
    }
}
