//! Beginning the next send together with the last receipt, so that a lane loses one round trip
//! between two calls and no more (protocol D6).

use std::time::Instant;

use jiff::Timestamp;
use risiti_domain::Dialect;
use risiti_etims::Receipt;
use risiti_ledger::{LaneError, LaneInvoice};

use crate::decide::{self, Step};
use crate::filing::{document, new_send};
use crate::host::{Admission, Permit};
use crate::lane::{BegunSend, Lane, StepEnd};

impl Lane<'_> {
    /// Reads which invoice follows, while the one before is under way. `None` where its send cannot
    /// be begun together with a receipt, or needs more than that.
    ///
    /// A gateway's access token may have to be fetched before a send, and that must not delay a
    /// receipt. What may have changed by the time of the send is guarded by `begin_send`.
    pub(crate) async fn following(&self) -> Option<Box<LaneInvoice>> {
        let dialect = self.profile.dialect;
        if !self.goes_on || dialect == Dialect::Gateway || self.trial.is_under_way() {
            return None;
        }
        let following = self.lanes.ledger.following_invoice(self.claim).await;
        following
            .ok()?
            .filter(|next| decide::step(dialect, false, &next.history) == Step::Send)
    }

    /// Stores a receipt and begins the next send, unless no call may be made for it at once.
    pub(crate) async fn accept_and_begin_next(
        &mut self,
        invoice: &LaneInvoice,
        submission: i64,
        receipt: &Receipt,
        next: Box<LaneInvoice>,
    ) -> Result<StepEnd, LaneError> {
        let Some(permit) = self.permit_at_once() else {
            return self.accept(invoice, Some(submission), receipt).await;
        };
        let document = document(&next, next.first_sent_at.unwrap_or_else(Timestamp::now));
        let body = self.body(&next, &document);
        let asked_at = Instant::now();
        let begun = self
            .lanes
            .ledger
            .accepted_and_begin_next(
                self.claim,
                (invoice.id, invoice.invoice_no, submission),
                &self.stored_receipt(receipt),
                &new_send(&document, &body),
            )
            .await?;
        self.lease.confirm(asked_at);
        tracing::info!(
            receipt_no = receipt.receipt_no,
            adopted = false,
            "receipt issued"
        );
        self.begun = begun.map(|submission| {
            let send = BegunSend {
                submission,
                body,
                permit,
            };
            (next, send)
        });
        Ok(StepEnd::InvoiceDone)
    }

    /// A place under the cap, if no other lane waits for one.
    fn permit_at_once(&self) -> Option<Permit> {
        if self.lanes.shutdown.is_cancelled() || self.host.has_waiting() {
            return None;
        }
        match self.host.admit(false) {
            Admission::Call(permit) => Some(permit),
            Admission::Trial(..) | Admission::Full | Admission::Open => None,
        }
    }
}
