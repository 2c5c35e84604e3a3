//! After a replay: what became of each invoice that it moved.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;
use risiti_domain::InvoiceId;
use risiti_ledger::{Ledger, invoice_state, plain};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::output::Output;
use crate::progress::PROGRESS_INTERVAL;

/// Invoices that are followed. Those of a longer run are found with `show`.
const FOLLOWED_MAX: usize = 1_000;

const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// The first invoices that a run moved.
#[derive(Default)]
pub(crate) struct MovedInvoices {
    followed: Vec<Uuid>,
    not_followed: u64,
}

impl MovedInvoices {
    pub(crate) fn add(&mut self, invoice: InvoiceId) {
        if self.followed.len() < FOLLOWED_MAX {
            self.followed.push(invoice.uuid());
        } else {
            self.not_followed += 1;
        }
    }
}

/// What became of the invoices that were followed.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    filed: u64,
    pub(crate) dead_again: u64,
    /// KRA's codes of those that died again, or the cause where there is none.
    codes: BTreeSet<String>,
    /// Somebody discarded them meanwhile.
    discarded: u64,
    still_waiting: u64,
    not_followed: u64,
}

impl Outcomes {
    fn count(&mut self, invoice: &Value) {
        match invoice["state"].as_str() {
            Some("success") => self.filed += 1,
            Some("dead") => {
                self.dead_again += 1;
                let letter = &invoice["dead_letter"];
                let code = [&letter["code"], &letter["cause"]].map(plain);
                self.codes
                    .extend(code.into_iter().find(|text| !text.is_empty()));
            }
            Some("discarded") => self.discarded += 1,
            _ => self.still_waiting += 1,
        }
    }

    /// As in `9 filed, 3 dead again (910), 0 still waiting`.
    pub(crate) fn text(&self) -> String {
        let codes: Vec<&str> = self.codes.iter().map(String::as_str).collect();
        let codes = if codes.is_empty() {
            String::new()
        } else {
            format!(" ({})", codes.join(", "))
        };
        let mut text = format!(
            "{} filed, {} dead again{codes}, {} still waiting",
            self.filed, self.dead_again, self.still_waiting
        );
        for (count, words) in [
            (self.discarded, "discarded meanwhile"),
            (self.not_followed, "not followed"),
        ] {
            if count > 0 {
                text.push_str(&format!(", {count} {words}"));
            }
        }
        text
    }

    /// Adds the counts to the report of the run.
    pub(crate) fn add_to(&self, report: &mut Value) {
        report["filed"] = self.filed.into();
        report["dead_again"] = self.dead_again.into();
        report["dead_again_codes"] = json!(self.codes);
        report["still_waiting"] = self.still_waiting.into();
        report["discarded_meanwhile"] = self.discarded.into();
        report["not_followed"] = self.not_followed.into();
    }
}

/// Prints each invoice as soon as it is filed or dead, and those that still wait when the time is
/// over. A signal ends it.
pub(crate) async fn follow(
    ledger: &Ledger,
    moved: MovedInvoices,
    wait: Duration,
    out: Output,
    stop: &CancellationToken,
) -> Result<Outcomes> {
    let MovedInvoices {
        followed: mut invoices,
        not_followed,
    } = moved;
    let mut outcomes = Outcomes {
        not_followed,
        ..Outcomes::default()
    };
    let deadline = Instant::now() + wait;
    let mut told = Instant::now();
    while !invoices.is_empty() {
        let over = Instant::now() >= deadline || stop.is_cancelled();
        for invoice in ledger.invoice_outcomes(&invoices).await? {
            if over || is_settled(&invoice) {
                outcomes.count(&invoice);
                out.line(&invoice, || line(&invoice));
                let id = plain(&invoice["invoice_id"]).parse::<Uuid>();
                invoices.retain(|waiting| Ok(*waiting) != id);
            }
        }
        if over {
            break;
        }
        if told.elapsed() >= PROGRESS_INTERVAL {
            told = Instant::now();
            let waiting = invoices.len();
            out.note(&format!(
                "{} filed, {} dead again, {waiting} still waiting …",
                outcomes.filed, outcomes.dead_again
            ));
        }
        stop.run_until_cancelled(sleep(LOOK_INTERVAL)).await;
    }
    Ok(outcomes)
}

fn is_settled(invoice: &Value) -> bool {
    !matches!(invoice["state"].as_str(), Some("pending" | "submitting"))
}

/// One invoice, with what its customer has in hand.
fn line(invoice: &Value) -> String {
    let [id, merchant, receipt, currency, amount] =
        ["invoice_id", "merchant", "receipt", "currency", "amount"].map(|key| plain(&invoice[key]));
    let receipt = if receipt.is_empty() { "-" } else { &receipt };
    format!(
        "{id}  {merchant}  {receipt}  {currency} {amount}  {}",
        invoice_state(invoice)
    )
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
        assert_eq!(moved.followed.len(), FOLLOWED_MAX);
        assert_eq!(moved.not_followed, 1);
    }

    #[test]
    fn outcomes_name_the_codes_of_new_deaths() {
        let mut outcomes = Outcomes::default();
        for invoice in [
            json!({"state": "success"}),
            json!({"state": "dead", "dead_letter": {"cause": "refused", "code": "910"}}),
            json!({"state": "dead", "dead_letter": {"cause": "refused", "code": "910"}}),
            json!({"state": "dead", "dead_letter": {"cause": "exhausted"}}),
            json!({"state": "submitting"}),
        ] {
            outcomes.count(&invoice);
        }
        assert_eq!(
            outcomes.text(),
            "1 filed, 3 dead again (910, exhausted), 1 still waiting"
        );
    }
}
