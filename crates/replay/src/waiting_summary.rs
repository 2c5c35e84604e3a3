//! What `discard --waiting` would take, and what it leaves.

use std::collections::HashSet;

use anyhow::Result;
use risiti_ledger::{Ledger, WaitingFilter, WaitingInvoice};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::waiting::{WaitingPages, heading, row};

const SAMPLE_SIZE: usize = 5;
/// Invoices that are left and named. The others are counted.
const NAMED_MAX: usize = 20;

/// The invoices that wait, counted.
#[derive(Default)]
pub(crate) struct WaitingSummary {
    /// How many would be discarded, within the limit.
    pub(crate) matched: u64,
    amount: Decimal,
    sample: Vec<WaitingInvoice>,
    /// How many are left, because KRA may have them.
    pub(crate) may_be_at_kra: u64,
    /// The oldest of those that are left.
    pub(crate) left: Vec<WaitingInvoice>,
    /// Those that the command line names.
    found: HashSet<Uuid>,
}

impl WaitingSummary {
    pub(crate) async fn of(
        ledger: &Ledger,
        filter: &WaitingFilter,
        limit: Option<u64>,
    ) -> Result<Self> {
        let mut summary = Self::default();
        let mut pages = WaitingPages::new(ledger, filter);
        while let Some(page) = pages.next().await? {
            for invoice in page {
                if !filter.ids.is_empty() {
                    summary.found.insert(invoice.invoice_id.uuid());
                }
                summary.add(invoice, limit.unwrap_or(u64::MAX));
            }
        }
        Ok(summary)
    }

    fn add(&mut self, invoice: WaitingInvoice, limit: u64) {
        if invoice.may_be_at_kra {
            self.may_be_at_kra += 1;
            if self.left.len() < NAMED_MAX {
                self.left.push(invoice);
            }
        } else if self.matched < limit {
            self.matched += 1;
            self.amount += invoice.amount;
            if self.sample.len() < SAMPLE_SIZE {
                self.sample.push(invoice);
            }
        }
    }

    /// The ids of the filter that no invoice that waits has.
    pub(crate) fn missing(&self, filter: &WaitingFilter) -> Vec<Uuid> {
        let ids = filter.ids.iter().copied();
        ids.filter(|id| !self.found.contains(id)).collect()
    }

    pub(crate) fn text(&self) -> String {
        let mut lines = vec![format!(
            "{} matched, of KES {:.2}.",
            self.matched, self.amount
        )];
        if !self.sample.is_empty() {
            lines.push("The oldest:".to_owned());
            lines.push(format!("  {}", heading()));
            lines.extend(
                self.sample
                    .iter()
                    .map(|invoice| format!("  {}", row(invoice))),
            );
        }
        lines.extend(self.left_text());
        lines.join("\n")
    }

    /// What is left, each with the command that takes it out.
    pub(crate) fn left_text(&self) -> Vec<String> {
        if self.may_be_at_kra == 0 {
            return Vec::new();
        }
        let mut lines = vec![format!(
            "{} left, because KRA may have them. Set each aside, then discard it:",
            self.may_be_at_kra
        )];
        lines.extend(self.left.iter().map(|invoice| {
            let (device, id) = (invoice.device_id, invoice.invoice_id);
            format!("  risiti-replay lanes set-aside {device} --invoice {id} --reason TEXT")
        }));
        let more = self.may_be_at_kra - self.left.len() as u64;
        if more > 0 {
            lines.push(format!("  and {more} more: risiti-replay list --waiting"));
        }
        lines
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "dry_run": true,
            "matched": self.matched,
            "amount": self.amount,
            "sample": self.sample,
            "left": self.may_be_at_kra,
            "left_invoices": self.left,
        })
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use risiti_domain::{DeviceId, InvoiceId, LaneState};

    use super::*;

    fn invoice(may_be_at_kra: bool) -> WaitingInvoice {
        WaitingInvoice {
            invoice_id: InvoiceId::from_uuid(Uuid::now_v7()),
            merchant: "acme".to_owned(),
            device_id: DeviceId::from_uuid(Uuid::nil()),
            kind: "sale".to_owned(),
            state: "pending".to_owned(),
            amount: Decimal::TEN,
            currency: "KES".to_owned(),
            created_at: Timestamp::UNIX_EPOCH,
            lane_state: LaneState::Halted,
            receipt: None,
            may_be_at_kra,
        }
    }

    #[test]
    fn what_is_left_is_named_up_to_a_bound() {
        let mut summary = WaitingSummary::default();
        for _ in 0..NAMED_MAX + 5 {
            summary.add(invoice(true), u64::MAX);
        }
        let lines = summary.left_text();
        assert_eq!(lines.len(), 1 + NAMED_MAX + 1);
        assert!(lines.last().is_some_and(|line| line.contains("and 5 more")));
        assert_eq!(summary.matched, 0);
    }

    #[test]
    fn limit_bounds_what_matches_and_its_amount() {
        let mut summary = WaitingSummary::default();
        for _ in 0..SAMPLE_SIZE + 3 {
            summary.add(invoice(false), 7);
        }
        assert!(summary.text().starts_with("7 matched, of KES 70.00."));
        assert_eq!(summary.sample.len(), SAMPLE_SIZE);
    }
}
