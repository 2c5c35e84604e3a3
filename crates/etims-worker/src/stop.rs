//! How a lane stops without filing: it waits for a pause, or it is halted.

use std::time::Duration;

use jiff::Timestamp;
use risiti_domain::InvoiceId;
use risiti_etims::FoundSale;
use risiti_ledger::{Claim, FoundAtKra, HaltOutcome, LaneError, LaneInvoice, LedgerError};

use crate::halt_reasons::Halt;
use crate::lane::{Lane, Lanes, StepEnd};

/// The lane stays claimed during a pause up to this length, and is given back for a longer one.
const SHORT_PAUSE: Duration = Duration::from_millis(300);

impl Lanes {
    pub(crate) async fn halt(
        &self,
        claim: &Claim,
        halt: &Halt,
        found: Option<&FoundAtKra>,
    ) -> Result<(), LedgerError> {
        let Halt { reason, remedy } = halt;
        match self.ledger.halt_lane(claim, reason, *remedy, found).await? {
            HaltOutcome::Halted => {
                tracing::error!(device_id = %claim.device, reason, "lane halted");
            }
            HaltOutcome::Unchanged => {}
        }
        Ok(())
    }
}

impl Lane<'_> {
    pub(crate) async fn halt(&self, halt: &Halt) -> Result<StepEnd, LaneError> {
        self.lanes.halt(self.claim, halt, None).await?;
        Ok(StepEnd::Stop)
    }

    /// Halts over a sale that a look-up showed, which the lane keeps. `ours` is the invoice of this
    /// lane that the sale is.
    pub(crate) async fn halt_over(
        &self,
        halt: &Halt,
        sale: &FoundSale,
        ours: Option<InvoiceId>,
    ) -> Result<StepEnd, LaneError> {
        let found = FoundAtKra {
            invoice_no: sale.invoice_no,
            invoice_id: ours,
            amount: sale.total,
            trader_number: sale.trader_number.clone(),
            issued_at: sale.receipt.issued_at,
            receipt_no: sale.receipt.receipt_no,
            looked_up_at: Timestamp::now(),
        };
        self.lanes.halt(self.claim, halt, Some(&found)).await?;
        Ok(StepEnd::Stop)
    }

    /// The next pause of the lane, and at least as long as KRA asked for.
    pub(crate) fn pause(&self, invoice: &LaneInvoice, at_least: Option<Duration>) -> Duration {
        let failures = invoice.lane_failures.saturating_add(1);
        let pause = self.lanes.backoff.pause(failures);
        pause.max(at_least.unwrap_or_default())
    }

    /// Spends a pause that is stored already. After a long one the lane is due again by itself.
    pub(crate) async fn wait(&self, pause: Duration) -> StepEnd {
        if pause > SHORT_PAUSE {
            return StepEnd::Stop;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => StepEnd::Continue,
            () = self.lanes.shutdown.cancelled() => StepEnd::Stop,
        }
    }
}
