//! Numbers looked up for invoices that hold them no more.

use std::time::Duration;

use risiti_etims::LookUpOutcome;
use risiti_ledger::{Adoption, LateLookUp, LedgerError};

use crate::decide::Then;
use crate::lane::{Lane, Next};

/// Until a look-up is tried again that brought nothing.
const PAUSE: Duration = Duration::from_secs(60);

impl Lane<'_> {
    /// For an invoice that gave its number up, dead or to be discarded (protocol D10, E4).
    pub(crate) async fn late_look_up(&mut self, late: &LateLookUp) -> Result<Next, LedgerError> {
        let (ledger, claim) = (&self.lanes.ledger, self.claim);
        let Some(outcome) = self.ask(late.invoice_no).await? else {
            return Ok(Next::NotNow);
        };
        let done = match outcome {
            LookUpOutcome::Found(sale) if sale.invoice_id() == Some(late.invoice) => {
                let receipt = self.stored(&sale.receipt);
                match ledger
                    .adopt(claim, late.invoice, late.invoice_no, &receipt)
                    .await?
                {
                    Adoption::Adopted => {
                        tracing::info!(invoice_id = %late.invoice, invoice_no = late.invoice_no, adopted = true, "receipt issued");
                        return Ok(Next::Done);
                    }
                    Adoption::ClaimGone => false,
                    Adoption::Known | Adoption::NotOurs | Adoption::Conflict { .. } => {
                        let device = claim.device;
                        let reason = format!(
                            "KRA has invoice {} under number {}, which is another's by our books: a credit note may be \
                             owed, then `risiti-replay lanes resume {device}`",
                            late.invoice, late.invoice_no
                        );
                        ledger.late_look_up_absent(claim, late).await?;
                        return self.then(Then::Halt(reason), None).await;
                    }
                }
            }
            LookUpOutcome::Found(_) | LookUpOutcome::Absent(_) => {
                ledger.late_look_up_absent(claim, late).await?
            }
            LookUpOutcome::NoAnswer(_)
            | LookUpOutcome::Unsupported
            | LookUpOutcome::Halt { .. } => {
                ledger
                    .postpone_look_up(claim, late.invoice, late.invoice_no, PAUSE)
                    .await?;
                true
            }
        };
        Ok(if done { Next::GoOn } else { Next::Stop })
    }
}
