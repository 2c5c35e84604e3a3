//! Storing a receipt: for the invoice that was sent, or for the one that a found sale names.

use risiti_domain::InvoiceId;
use risiti_etims::{FoundSale, Receipt, receipt_url};
use risiti_ledger::{Adoption, LaneError, LaneInvoice, StoredReceipt};

use crate::halt_reasons::{foreign_sale, needs_resolving};
use crate::lane::{Lane, StepEnd};

impl Lane<'_> {
    /// The invoice that holds the number is accepted. `submission` is the send that was answered,
    /// or `None` after a look-up.
    pub(crate) async fn accept(
        &mut self,
        invoice: &LaneInvoice,
        submission: Option<i64>,
        receipt: &Receipt,
    ) -> Result<StepEnd, LaneError> {
        let receipt_row = self.stored_receipt(receipt);
        self.next = self
            .lanes
            .ledger
            .invoice_accepted(
                self.claim,
                invoice.id,
                invoice.invoice_no,
                submission,
                &receipt_row,
            )
            .await?;
        tracing::info!(
            receipt_no = receipt.receipt_no,
            adopted = submission.is_none(),
            "receipt issued"
        );
        Ok(StepEnd::InvoiceDone)
    }

    /// Gives the sale found under the invoice's number to the owner that it names (protocol D8). If
    /// it cannot be the owner's, the lane halts over it.
    pub(crate) async fn adopt(
        &self,
        invoice: &LaneInvoice,
        owner: InvoiceId,
        receipt: &Receipt,
        found: Option<&FoundSale>,
    ) -> Result<StepEnd, LaneError> {
        let receipt = self.stored_receipt(receipt);
        let adoption = self
            .lanes
            .ledger
            .adopt(self.claim, owner, invoice.invoice_no, &receipt)
            .await?;

        let (halt, ours) = match adoption {
            Adoption::Adopted => {
                tracing::info!(owner = %owner, receipt_no = receipt.receipt_no, adopted = true, "receipt issued");
                return Ok(StepEnd::InvoiceDone);
            }
            Adoption::NotOurs => (foreign_sale(invoice), None),
            Adoption::Known | Adoption::Conflict { .. } => {
                let problem = format!(
                    "the number holds invoice {owner}, which has another number in the ledger"
                );
                (needs_resolving(invoice, &problem), Some(owner))
            }
        };
        match found {
            Some(sale) => self.halt_over(&halt, sale, ours).await,
            None => self.halt(&halt).await,
        }
    }

    pub(crate) fn stored_receipt(&self, receipt: &Receipt) -> StoredReceipt {
        StoredReceipt {
            receipt_no: receipt.receipt_no,
            total_receipt_no: receipt.total_receipt_no,
            signature: receipt.signature.clone(),
            internal_data: receipt.internal_data.clone(),
            control_unit_id: receipt.control_unit_id.clone(),
            url: receipt_url(self.profile, receipt),
            issued_at: receipt.issued_at,
            buyer_name: receipt.buyer_name.clone(),
            buyer_pin: receipt.buyer_pin.clone(),
        }
    }
}
