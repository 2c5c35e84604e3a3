//! The steps of a verification, in the order of KRA's certification.

use std::time::Duration;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use risiti_domain::{Buyer, Dialect, InvoiceId, InvoiceKind, PaymentMethod};
use risiti_etims::{
    Client, DeviceProfile, LookUpOutcome, Receipt, SaleDocument, SendOutcome, sale_body,
};
use risiti_ledger::{Claim, Ledger, OperatorAction};
use rust_decimal::Decimal;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::report::{Report, Verdict};
use crate::flags;

/// Tries of a look-up, after which absent means absent. Look-ups were seen to lag behind sales (by
/// an integrator, September 2026).
const LOOK_UPS_MAX: u32 = 5;
const LOOK_UP_PAUSE: Duration = Duration::from_secs(2);
/// The amount of the sale and of the credit note, KES 10.00.
const TOTAL: Decimal = Decimal::from_parts(1000, 0, 0, false, 2);

/// What the steps share.
pub(super) struct Verification<'a> {
    pub(super) ledger: &'a Ledger,
    pub(super) claim: Claim,
    pub(super) client: Client,
    pub(super) profile: DeviceProfile,
    pub(super) by: OperatorAction,
    pub(super) report: Report<'a>,
}

/// A sale or credit note that KRA accepted.
struct Accepted {
    document: SaleDocument,
    body: Vec<u8>,
    receipt: Receipt,
}

impl Verification<'_> {
    /// Goes through the steps. It ends early after a step that the later ones depend on has failed,
    /// and, once a shutdown began, before the next sale or credit note.
    pub(super) async fn run(&mut self, shutdown: &CancellationToken) -> Result<()> {
        if self.token().await? == Verdict::Fail {
            return Ok(());
        }
        self.code_list().await?;

        if shutdown.is_cancelled() {
            return Ok(());
        }
        let Some(sale) = self.file("sale", None).await? else {
            return Ok(());
        };
        self.look_up(&sale).await?;
        self.same_number_again(&sale).await?;

        if shutdown.is_cancelled() {
            return Ok(());
        }
        self.file("credit note", Some(sale.document.invoice_no))
            .await
            .map(drop)
    }

    /// Fetches an access token where the dialect needs one.
    async fn token(&mut self) -> Result<Verdict> {
        let (verdict, detail) = if self.profile.dialect == Dialect::Gateway {
            match self.client.check_token(&self.profile).await {
                Ok(()) => (Verdict::Pass, "received".to_owned()),
                Err(error) => (Verdict::Fail, error.to_string()),
            }
        } else {
            (Verdict::Skip, "the dialect needs none".to_owned())
        };
        self.report.add("token", verdict, &detail)?;
        Ok(verdict)
    }

    async fn code_list(&mut self) -> Result<()> {
        match self.client.code_list(&self.profile).await {
            Ok(list) if list.classes.is_empty() => {
                self.report
                    .add("code list", Verdict::Fail, "the list is empty")
            }
            Ok(list) => {
                let detail = match list.tax_rates() {
                    Some(rates) if rates != self.profile.tax_rates => format!(
                        "read; KRA's tax rates differ from the device's: see `codes sync` and `device update {}`",
                        flags::TAX_RATE
                    ),
                    _ => "read".to_owned(),
                };
                self.report.add("code list", Verdict::Pass, &detail)
            }
            Err(error) => self
                .report
                .add("code list", Verdict::Fail, &error.to_string()),
        }
    }

    /// Sends a sale under the lane's next number, or a credit note of the sale with the number
    /// `sale`. Records the number as used once KRA has accepted it. `None` when KRA has not.
    async fn file(&mut self, step: &'static str, sale: Option<i64>) -> Result<Option<Accepted>> {
        let number = self.ledger.next_number(&self.claim).await?;
        let document = document(number, sale);
        let body = sale_body(&self.profile, &document);

        let outcome = self.client.send(&self.profile, &body, number).await;
        let (receipt, how) = match &outcome {
            SendOutcome::Ok(receipt) => (Some(receipt.clone()), "accepted"),
            _ if outcome.leaves_number_unknown() => (
                self.found(&document).await,
                "accepted; the answer was lost, and the look-up found it",
            ),
            _ => (None, ""),
        };
        let Some(receipt) = receipt else {
            let detail = format!(
                "number {number} {}: {}",
                outcome.as_str(),
                describe(&outcome)
            );
            self.report.add(step, Verdict::Fail, &detail)?;
            return Ok(None);
        };

        let recorded = self.ledger.number_used(&self.claim, number, &self.by).await;
        recorded.with_context(|| {
            format!(
                "KRA accepted number {number}, but it could not be recorded as used: when the lane halts \
                 over it, run `risiti-replay lanes resolve {} --invoice-no {number} --taken-elsewhere`",
                self.claim.device
            )
        })?;
        let detail = format!("number {number} {how}, receipt {}", receipt.receipt_no);
        self.report.add(step, Verdict::Pass, &detail)?;
        Ok(Some(Accepted {
            document,
            body,
            receipt,
        }))
    }

    async fn look_up(&mut self, sale: &Accepted) -> Result<()> {
        if self.profile.dialect == Dialect::Vscu {
            return self
                .report
                .add("look-up", Verdict::Skip, "the dialect has none");
        }
        let number = sale.document.invoice_no;
        match self.found(&sale.document).await {
            Some(receipt) if receipt.receipt_no == sale.receipt.receipt_no => {
                let detail = format!("number {number} found, receipt {}", receipt.receipt_no);
                self.report.add("look-up", Verdict::Pass, &detail)
            }
            Some(receipt) => {
                let detail = format!(
                    "number {number} found with another receipt, {}",
                    receipt.receipt_no
                );
                self.report.add("look-up", Verdict::Fail, &detail)
            }
            None => {
                let detail = format!("number {number} was not found, or is not ours");
                self.report.add("look-up", Verdict::Fail, &detail)
            }
        }
    }

    /// Looks up our own sale under its number. `None` when KRA does not show it.
    async fn found(&self, document: &SaleDocument) -> Option<Receipt> {
        for tries in 1..=LOOK_UPS_MAX {
            match self
                .client
                .look_up(&self.profile, document.invoice_no)
                .await
            {
                LookUpOutcome::Found(sale) => {
                    let ours = sale.invoice_id() == Some(document.invoice_id);
                    return ours.then_some(sale.receipt);
                }
                LookUpOutcome::Unsupported | LookUpOutcome::Halt { .. } => return None,
                LookUpOutcome::Absent(_) | LookUpOutcome::NoAnswer(_) if tries < LOOK_UPS_MAX => {
                    tokio::time::sleep(LOOK_UP_PAUSE).await;
                }
                LookUpOutcome::Absent(_) | LookUpOutcome::NoAnswer(_) => {}
            }
        }
        None
    }

    /// Sends the same bytes under the same number again, which must not become a second invoice.
    async fn same_number_again(&mut self, sale: &Accepted) -> Result<()> {
        let outcome = self
            .client
            .send(&self.profile, &sale.body, sale.document.invoice_no)
            .await;
        let (verdict, detail) = match &outcome {
            SendOutcome::Taken(answer) => (Verdict::Pass, format!("refused as taken: {answer}")),
            SendOutcome::Ok(receipt) if receipt.receipt_no == sale.receipt.receipt_no => {
                (Verdict::Pass, "answered with the same receipt".to_owned())
            }
            SendOutcome::Ok(receipt) => (
                Verdict::Fail,
                format!("became a second invoice, receipt {}", receipt.receipt_no),
            ),
            other => (
                Verdict::Fail,
                format!("{}: {}", other.as_str(), describe(other)),
            ),
        };
        self.report.add("same number again", verdict, &detail)
    }
}

/// A sale, or the credit note of the sale with the number `sale`.
fn document(number: i64, sale: Option<i64>) -> SaleDocument {
    let now = Timestamp::now();
    SaleDocument {
        invoice_id: InvoiceId::from_uuid(Uuid::now_v7()),
        invoice_no: number,
        kind: if sale.is_some() {
            InvoiceKind::CreditNote
        } else {
            InvoiceKind::Sale
        },
        original_invoice_no: sale,
        trader_invoice_no: format!("VERIFY-{number}"),
        total: TOTAL,
        buyer: Buyer::default(),
        phone: None,
        method: PaymentMethod::MobileMoney,
        occurred_at: now,
        refunded_at: sale.map(|_| now),
        first_sent_at: now,
    }
}

/// What KRA answered.
fn describe(outcome: &SendOutcome) -> String {
    match (outcome, outcome.answer()) {
        (SendOutcome::Ok(receipt), _) => format!("receipt {}", receipt.receipt_no),
        (
            SendOutcome::OutOfStep {
                expected: Some(expected),
                ..
            },
            Some(answer),
        ) => format!("KRA expects {expected}: {answer}"),
        (_, Some(answer)) => answer.to_string(),
        (_, None) => "no answer".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credit_note_names_its_sale() {
        let note = document(8, Some(7));
        assert_eq!(
            (note.kind, note.original_invoice_no),
            (InvoiceKind::CreditNote, Some(7))
        );
        assert!(note.refunded_at.is_some());
        assert_eq!(note.total.to_string(), "10.00");
    }
}
