//! `device verify`: the calls KRA's certification asks of an integrator, in their order, with a sandbox device.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use risiti_domain::{DeviceId, Dialect, Environment, InvoiceId, InvoiceKind, PaymentMethod};
use risiti_etims::{
    Client, DeviceProfile, LookUpOutcome, Receipt, SaleDocument, SendOutcome, sale_body,
};
use risiti_ledger::{Claim, Ledger, ManageError, OperatorAction};
use rust_decimal::Decimal;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::device_cli::CallArgs;
use crate::report::{Report, Verdict};
use crate::session::Session;
use crate::{initialise, profile};

/// Well within a lease, so that one lost renewal loses nothing.
const RENEW_EVERY: Duration = Duration::from_secs(3);
/// Look-ups were seen to lag behind sales (by an integrator, September 2026); after these many tries absent means absent.
const LOOK_UPS_MAX: u32 = 5;
const LOOK_UP_PAUSE: Duration = Duration::from_secs(2);
/// KES 10.00.
const TOTAL: Decimal = Decimal::from_parts(1000, 0, 0, false, 2);

/// What the steps share.
struct Verification<'a> {
    ledger: &'a Ledger,
    claim: Claim,
    client: Client,
    profile: DeviceProfile,
    by: OperatorAction,
    report: Report<'a>,
}

/// A sale that KRA took.
struct Filed {
    document: SaleDocument,
    body: Vec<u8>,
    receipt: Receipt,
}

pub(crate) async fn run(
    session: &Session,
    device: DeviceId,
    out: Option<&Path>,
    call: &CallArgs,
) -> Result<ExitCode> {
    let vault = session.vault().await?;
    let stored = session
        .ledger
        .device(device, vault)
        .await?
        .ok_or(ManageError::NoDevice(device))?;
    if stored.environment != Environment::Sandbox {
        bail!(
            "device {device} is a production device: verify files sales that are none, so it takes a sandbox one"
        );
    }
    let report = Report::open(out)?;
    let claim = session.ledger.begin_verification(device).await?;
    let _renewing = keep_claim(session.ledger.clone(), claim.clone());
    let mut verification = Verification {
        ledger: &session.ledger,
        claim,
        client: initialise::client(call, Some(report.captures().witness()))?,
        profile: profile::of_stored(&stored)?,
        by: OperatorAction {
            operator: session.operator.clone(),
            reason: "device verify".to_owned(),
        },
        report,
    };
    let done = verification.steps(&session.context.shutdown).await;
    session
        .ledger
        .end_verification(&verification.claim)
        .await
        .context("failed to let go of the lane")?;
    done?;
    let report = verification.report;
    let object = json!({ "device_id": device, "passed": report.passed(), "steps": report.steps() });
    session.out.object(&object, &report.text());
    Ok(if report.passed() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Renews the lease until dropped. Losing it is noticed where a number is written down.
fn keep_claim(ledger: Ledger, claim: Claim) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            tokio::time::sleep(RENEW_EVERY).await;
            if let Err(error) = ledger.renew_leases(&[(claim.device, claim.claim_id)]).await {
                tracing::warn!(%error, "the lane's lease was not renewed");
            }
        }
    }))
}

impl Verification<'_> {
    /// Ends at the first step that the next ones cannot do without, or, once asked to, between two.
    async fn steps(&mut self, shutdown: &CancellationToken) -> Result<()> {
        if !self.token().await? {
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

    async fn token(&mut self) -> Result<bool> {
        if self.profile.dialect != Dialect::Gateway {
            self.report
                .add("token", Verdict::Skip, "the dialect needs none")?;
            return Ok(true);
        }
        match self.client.check_token(&self.profile).await {
            Ok(()) => self.report.add("token", Verdict::Pass, "handed out")?,
            Err(error) => {
                self.report
                    .add("token", Verdict::Fail, &error.to_string())?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn code_list(&mut self) -> Result<()> {
        match self.client.code_list(&self.profile).await {
            Ok(list) if list.classes.is_empty() => {
                self.report
                    .add("code list", Verdict::Fail, "answered, and empty")
            }
            Ok(list) => {
                let detail = match list.tax_rates() {
                    Some(rates) if rates != self.profile.tax_rates => {
                        "read; KRA's tax rates differ from the device's: see `device update --tax-rate`"
                    }
                    _ => "read",
                };
                self.report.add("code list", Verdict::Pass, detail)
            }
            Err(error) => self
                .report
                .add("code list", Verdict::Fail, &error.to_string()),
        }
    }

    /// Sends a sale, or a credit note of one, under the lane's next number, and writes the number down as
    /// used once KRA has it.
    async fn file(&mut self, step: &'static str, sale: Option<i64>) -> Result<Option<Filed>> {
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
            let detail = format!("number {number} {}: {}", outcome.as_str(), told(&outcome));
            self.report.add(step, Verdict::Fail, &detail)?;
            return Ok(None);
        };
        self.ledger.number_used(&self.claim, number, &self.by).await.with_context(|| {
            format!(
                "KRA accepted number {number} and it could not be written down: when the lane halts over it, run \
                 `risiti-replay lanes resolve {} --invoice-no {number} --taken-elsewhere`",
                self.claim.device
            )
        })?;
        let detail = format!("number {number} {how}, receipt {}", receipt.receipt_no);
        self.report.add(step, Verdict::Pass, &detail)?;
        Ok(Some(Filed {
            document,
            body,
            receipt,
        }))
    }

    async fn look_up(&mut self, sale: &Filed) -> Result<()> {
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
                let detail = format!("number {number} not found as ours");
                self.report.add("look-up", Verdict::Fail, &detail)
            }
        }
    }

    /// The receipt of our own sale under its number, if KRA shows it.
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

    /// The same bytes under the same number must not become a second invoice.
    async fn same_number_again(&mut self, sale: &Filed) -> Result<()> {
        let outcome = self
            .client
            .send(&self.profile, &sale.body, sale.document.invoice_no)
            .await;
        let (verdict, detail) = match &outcome {
            SendOutcome::Taken(answer) => (Verdict::Pass, format!("refused as taken: {answer}")),
            SendOutcome::Ok(receipt) if receipt.receipt_no == sale.receipt.receipt_no => {
                (Verdict::Pass, "answered with the receipt it had".to_owned())
            }
            SendOutcome::Ok(receipt) => (
                Verdict::Fail,
                format!("became a second invoice, receipt {}", receipt.receipt_no),
            ),
            other => (
                Verdict::Fail,
                format!("{}: {}", other.as_str(), told(other)),
            ),
        };
        self.report.add("same number again", verdict, &detail)
    }
}

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
        phone: None,
        method: PaymentMethod::MobileMoney,
        occurred_at: now,
        refunded_at: sale.map(|_| now),
        first_sent_at: now,
    }
}

fn told(outcome: &SendOutcome) -> String {
    match (outcome, outcome.answer()) {
        (SendOutcome::Ok(receipt), _) => format!("receipt {}", receipt.receipt_no),
        (SendOutcome::Expected { expected, .. }, Some(answer)) => {
            format!("KRA expects {expected}: {answer}")
        }
        (_, Some(answer)) => answer.to_string(),
        (_, None) => "no answer".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credit_note_names_its_sale() {
        let note = document(8, Some(7));
        assert_eq!(
            (note.kind, note.original_invoice_no),
            (InvoiceKind::CreditNote, Some(7))
        );
        assert!(note.refunded_at.is_some());
        assert_eq!(note.total.to_string(), "10.00");
    }
}
