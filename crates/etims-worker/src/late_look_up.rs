//! Late look-ups: of numbers that their invoice no longer holds.

use risiti_domain::Dialect;
use risiti_etims::{FoundSale, LookUpOutcome};
use risiti_ledger::{Adoption, HaltRemedy, LaneError, LateLookUp};

use crate::halt_reasons::Halt;
use crate::lane::{Lane, StepEnd};

impl Lane<'_> {
    /// Looks up the number of an invoice that gave it back, dead or to be discarded (protocol D10,
    /// E4).
    pub(crate) async fn late_look_up(&mut self, late: &LateLookUp) -> Result<StepEnd, LaneError> {
        let ledger = &self.lanes.ledger;
        if self.profile.dialect == Dialect::Vscu {
            ledger.late_look_up_impossible(self.claim, late).await?;
            return Ok(StepEnd::Continue);
        }
        let Some(outcome) = self.call_look_up(late.invoice_no).await? else {
            return Ok(StepEnd::NotNow);
        };
        if let Some(answer) = outcome.answer() {
            tracing::info!(
                invoice_id = %late.invoice, invoice_no = late.invoice_no, outcome = outcome.as_str(), %answer,
                "looked up late"
            );
        }
        match outcome {
            LookUpOutcome::Found(sale) if sale.invoice_id() == Some(late.invoice) => {
                return self.adopt_late(late, &sale).await;
            }
            LookUpOutcome::Found(_) | LookUpOutcome::Absent(_) => {
                ledger.late_look_up_absent(self.claim, late).await?;
            }
            LookUpOutcome::NoAnswer(_)
            | LookUpOutcome::Unsupported
            | LookUpOutcome::Halt { .. } => {
                ledger
                    .postpone_look_up(self.claim, late.invoice, late.invoice_no)
                    .await?;
            }
        }
        Ok(StepEnd::Continue)
    }

    /// KRA has accepted the invoice after all.
    async fn adopt_late(&self, late: &LateLookUp, sale: &FoundSale) -> Result<StepEnd, LaneError> {
        let ledger = &self.lanes.ledger;
        let receipt = self.stored_receipt(&sale.receipt);
        let adoption = ledger
            .adopt(self.claim, late.invoice, late.invoice_no, &receipt)
            .await?;
        match adoption {
            Adoption::Adopted => {
                tracing::info!(invoice_id = %late.invoice, invoice_no = late.invoice_no, adopted = true, "receipt issued");
                Ok(StepEnd::InvoiceDone)
            }
            Adoption::Known | Adoption::NotOurs | Adoption::Conflict { .. } => {
                let reason = format!(
                    "KRA has invoice {} under number {}, which the ledger gives to another invoice: a credit \
                     note may be owed, then `risiti-replay lanes resume {}`",
                    late.invoice, late.invoice_no, self.claim.device
                );
                ledger.late_look_up_absent(self.claim, late).await?;
                let remedy = HaltRemedy::LanesResume;
                self.halt_over(&Halt { reason, remedy }, sale, Some(late.invoice))
                    .await
            }
        }
    }
}
