//! One send. It is stored before it leaves, and again when it was answered (protocol D6).

use std::time::Duration;

use jiff::Timestamp;
use risiti_domain::{BuyerName, InvoiceId, KraPin};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::{millis, statements};
use crate::lanes::leases::{Claim, LaneError, held_claim, require_claim};
use crate::lanes::new_send::NewSend;
use crate::lanes::work::{LaneWork, claimed_work, next_work};

statements! {
    /// From here on nobody knows whether the number is taken, until an answer says so. A worker
    /// that dies now leaves `unknown_since` behind for the next one. A person may have named another
    /// buyer since the work was read. Then the body is not what is to be sent.
    BEGIN = concat!(
        held_claim!(),
        ", lane AS (
            SELECT device_id FROM lanes
            WHERE device_id = (SELECT device_id FROM held) AND next_invoice_no = $4 AND halted_at IS NULL
        ), out AS (
            UPDATE invoices SET state = 'submitting', invoice_no = $4, attempts = attempts + 1,
                first_sent_at = coalesce(first_sent_at, $6), unknown_since = coalesce(unknown_since, now()),
                buyer_name = $7, buyer_pin = $8, trader_invoice_no = $9,
                moved_by = 'etims-worker', moved_because = 'its turn in the lane', moved_event = NULL
            WHERE id = $3 AND device_id = (SELECT device_id FROM lane)
              AND (kind = 'credit_note' OR coalesce(buyer_name, $7) = $7 AND buyer_pin IS NOT DISTINCT FROM $8)
              AND (state = 'pending' OR (state = 'submitting' AND invoice_no = $4))
            RETURNING id, device_id
        )
        INSERT INTO submissions (invoice_id, device_id, invoice_no, claim_id, body)
        SELECT id, device_id, $4, $2, $5 FROM out RETURNING id"
    );
    ANSWERED = concat!(
        held_claim!(),
        ", sent AS (
            UPDATE submissions SET outcome = $4, code = $5, message = $6, answered_at = clock_timestamp()
            WHERE id = $3 AND EXISTS (SELECT FROM held) RETURNING invoice_id
        ), invoice AS (
            UPDATE invoices i SET last_code = $5, last_error = $6,
                unknown_since = CASE WHEN $7 THEN NULL ELSE unknown_since END,
                hidden_since = CASE WHEN $8 THEN coalesce(hidden_since, now()) ELSE hidden_since END,
                refused_at = CASE WHEN $12 THEN now() ELSE refused_at END
            FROM sent WHERE i.id = sent.invoice_id AND i.state = 'submitting'
        )
        UPDATE lanes SET last_outcome = $9, last_call_at = now(), unanswered_since = NULL, expected_no = $13,
            retry_step = retry_step + CASE WHEN $10 THEN 1 ELSE 0 END,
            retry_at = now() + $11::bigint * interval '1 millisecond'
        WHERE device_id = (SELECT device_id FROM held)"
    );
    ACCEPTED = concat!(
        held_claim!(),
        ", invoice AS (
            UPDATE invoices SET state = 'success', receipt_no = $6, total_receipt_no = $7, receipt_signature = $8,
                internal_data = $9, control_unit_id = $10, receipt_url = $11, issued_at = coalesce($12, now()),
                unknown_since = NULL, hidden_since = NULL, refused_at = NULL, look_up_due_at = NULL, look_up_no = NULL,
                discard_wish = NULL, last_code = NULL, last_error = NULL,
                buyer_name = coalesce($14, buyer_name), buyer_pin = coalesce($15, buyer_pin),
                moved_by = 'etims-worker', moved_because = $13, moved_event = NULL
            WHERE id = $3 AND device_id = (SELECT device_id FROM held) AND state = 'submitting' AND invoice_no = $4
            RETURNING id, device_id, invoice_no
        ), sent AS (
            UPDATE submissions SET outcome = 'ok', answered_at = clock_timestamp()
            WHERE id = $5 AND invoice_id = (SELECT id FROM invoice)
        )
        UPDATE lanes l SET next_invoice_no = invoice.invoice_no + 1, retry_at = NULL, retry_step = 0,
            unanswered_since = NULL, deaths_in_row = 0, last_outcome = 'ok', last_call_at = now(), moved_by = 'etims-worker'
        FROM invoice WHERE l.device_id = invoice.device_id AND l.next_invoice_no = invoice.invoice_no"
    );
}

/// The control unit's receipt, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredReceipt {
    pub receipt_no: i64,
    pub total_receipt_no: Option<i64>,
    pub signature: Option<String>,
    pub internal_data: Option<String>,
    pub control_unit_id: Option<String>,
    pub url: Option<String>,
    pub issued_at: Option<Timestamp>,
    /// The buyer that KRA has, where a look-up told. What was sent stands otherwise.
    pub buyer_name: Option<BuyerName>,
    pub buyer_pin: Option<KraPin>,
}

impl StoredReceipt {
    pub(crate) fn buyer_name(&self) -> Option<&str> {
        self.buyer_name.as_ref().map(BuyerName::as_str)
    }

    pub(crate) fn buyer_pin(&self) -> Option<&str> {
        self.buyer_pin.as_ref().map(KraPin::as_str)
    }
}

/// How a send ended that KRA did not accept (protocol D7, D10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendResult {
    /// The request never left, and no earlier one is unanswered.
    NotSent,
    /// The request never left, and an earlier one is still unanswered.
    NotSentAfterUnknown,
    /// KRA refused it for good, so that the invoice becomes a dead letter.
    Refused,
    /// KRA refused it, and an earlier send was never answered. A look-up comes first.
    RefusedAfterUnknown,
    /// KRA refused it in words too vague to rely on. A look-up comes first.
    RefusedVaguely,
    /// Nobody knows whether KRA accepted it.
    Unknown,
    /// KRA says that the number is taken.
    Taken,
    /// KRA expects another number, so that this one is not taken.
    OutOfStep,
    /// KRA expects another number, and an earlier send under this one is still unanswered.
    OutOfStepAfterUnknown,
}

/// A send that was not accepted, with what to store about it.
#[derive(Clone, Debug)]
pub struct AnsweredSend<'a> {
    pub submission: i64,
    pub result: SendResult,
    pub code: Option<&'a str>,
    pub message: &'a str,
    /// The number that KRA expects instead, if it named one.
    pub expected_no: Option<i64>,
    /// The outcome as the metrics name it.
    pub outcome: &'static str,
    /// When the lane is due again. A pause counts as a failure of the lane. Without one the lane is
    /// due at once.
    pub pause: Option<Duration>,
}

/// What `ANSWERED` writes for a result.
struct ResultColumns {
    /// `submissions.outcome`.
    outcome: &'static str,
    /// It is known that this invoice has not taken the number, so that `unknown_since` ends.
    settles_number: bool,
    /// The number is taken and look-ups have to show it, so that `hidden_since` begins.
    hides_number: bool,
    /// The invoice becomes a dead letter once no unanswered send is behind it, so that `refused_at`
    /// is set.
    refuses: bool,
}

impl SendResult {
    fn columns(self) -> ResultColumns {
        let (outcome, settles_number, hides_number, refuses) = match self {
            Self::NotSent => ("not_sent", true, false, false),
            Self::NotSentAfterUnknown => ("not_sent", false, false, false),
            Self::Refused => ("refused", true, false, true),
            Self::RefusedAfterUnknown => ("refused", false, false, true),
            // An answer too vague to act on counts as none.
            Self::RefusedVaguely => ("unknown", false, false, true),
            Self::Unknown => ("unknown", false, false, false),
            Self::Taken => ("unknown", false, true, false),
            Self::OutOfStep => ("refused", true, false, false),
            Self::OutOfStepAfterUnknown => ("refused", false, false, false),
        };
        ResultColumns {
            outcome,
            settles_number,
            hides_number,
            refuses,
        }
    }

    /// Whether it is known after this that the invoice has not taken the number (protocol D7).
    pub fn settles_number(self) -> bool {
        self.columns().settles_number
    }
}

impl Ledger {
    /// Gives the invoice its number and stores the bytes about to be sent, as long as the claim
    /// holds and the number is the lane's next. It is `None` when either changed: read the work
    /// again and send nothing.
    pub async fn begin_send(
        &self,
        claim: &Claim,
        send: &NewSend<'_>,
    ) -> Result<Option<i64>, LedgerError> {
        let connection = self.connection().await?;
        let columns = send.columns(claim);
        let row = connection.query_opt(BEGIN, &columns.params()).await?;
        row.map(|row| Ok(row.try_get(0)?)).transpose()
    }

    /// Stores how a send ended that was not accepted, and when the lane is due again.
    pub async fn send_answered(
        &self,
        claim: &Claim,
        answer: &AnsweredSend<'_>,
    ) -> Result<(), LaneError> {
        let columns = answer.result.columns();
        let counts_as_failure = answer.pause.is_some();
        let connection = self.connection().await?;
        let lanes = connection
            .execute(
                ANSWERED,
                &[
                    &claim.device.uuid(),
                    &claim.claim_id,
                    &answer.submission,
                    &columns.outcome,
                    &answer.code,
                    &answer.message,
                    &columns.settles_number,
                    &columns.hides_number,
                    &answer.outcome,
                    &counts_as_failure,
                    &answer.pause.map(millis),
                    &columns.refuses,
                    &answer.expected_no,
                ],
            )
            .await?;
        require_claim(lanes)
    }

    /// KRA accepted the invoice under the number it holds, and the lane moves to the next number.
    /// `submission` is the send that was answered, or `None` after a look-up.
    ///
    /// Returns what the lane has to do next, which is read in the same round trip once the receipt
    /// is stored. It is `None` when only that reading failed.
    pub async fn invoice_accepted(
        &self,
        claim: &Claim,
        invoice: InvoiceId,
        invoice_no: i64,
        submission: Option<i64>,
        receipt: &StoredReceipt,
    ) -> Result<Option<LaneWork>, LaneError> {
        let device = claim.device.uuid();
        let connection = self.connection().await?;
        let accepted = Accepted::new(invoice, invoice_no, submission, receipt);
        let (lanes, next) = connection
            .execute_then_query_opt(
                (ACCEPTED, &accepted.params(&device, &claim.claim_id)),
                (next_work(), &[&device, &claim.claim_id]),
            )
            .await;
        require_claim(lanes?)?;
        Ok(next.ok().and_then(|row| claimed_work(claim, row).ok()))
    }

    /// Stores the receipt of a send that was answered, as [`invoice_accepted`] does, and then
    /// begins the next send, as [`begin_send`] does, in one round trip. Each is a transaction of
    /// its own. The next send is begun only if the receipt is stored, because its number is the
    /// lane's next only then.
    ///
    /// Returns the next submission. It is `None` when the next send was not begun, or when nobody
    /// knows: read the work again.
    ///
    /// [`invoice_accepted`]: Self::invoice_accepted
    /// [`begin_send`]: Self::begin_send
    pub async fn accepted_and_begin_next(
        &self,
        claim: &Claim,
        (invoice, invoice_no, submission): (InvoiceId, i64, i64),
        receipt: &StoredReceipt,
        next: &NewSend<'_>,
    ) -> Result<Option<i64>, LaneError> {
        let device = claim.device.uuid();
        let connection = self.connection().await?;
        let accepted = Accepted::new(invoice, invoice_no, Some(submission), receipt);
        let columns = next.columns(claim);
        let (lanes, begun) = connection
            .execute_then_query_opt(
                (ACCEPTED, &accepted.params(&device, &claim.claim_id)),
                (BEGIN, &columns.params()),
            )
            .await;
        require_claim(lanes?)?;
        Ok(begun.ok().flatten().and_then(|row| row.try_get(0).ok()))
    }
}

/// The parameters of `ACCEPTED`.
struct Accepted<'a> {
    invoice: Uuid,
    invoice_no: i64,
    submission: Option<i64>,
    receipt: &'a StoredReceipt,
    because: &'static str,
    buyer_name: Option<&'a str>,
    buyer_pin: Option<&'a str>,
}

impl<'a> Accepted<'a> {
    fn new(
        invoice: InvoiceId,
        invoice_no: i64,
        submission: Option<i64>,
        receipt: &'a StoredReceipt,
    ) -> Self {
        let because = if submission.is_some() {
            "accepted by KRA"
        } else {
            "found at KRA by its number"
        };
        Self {
            invoice: invoice.uuid(),
            invoice_no,
            submission,
            receipt,
            because,
            buyer_name: receipt.buyer_name(),
            buyer_pin: receipt.buyer_pin(),
        }
    }

    fn params<'b>(&'b self, device: &'b Uuid, claim: &'b Uuid) -> [&'b (dyn ToSql + Sync); 15] {
        [
            device,
            claim,
            &self.invoice,
            &self.invoice_no,
            &self.submission,
            &self.receipt.receipt_no,
            &self.receipt.total_receipt_no,
            &self.receipt.signature,
            &self.receipt.internal_data,
            &self.receipt.control_unit_id,
            &self.receipt.url,
            &self.receipt.issued_at,
            &self.because,
            &self.buyer_name,
            &self.buyer_pin,
        ]
    }
}
