//! One send: written down before it leaves, and again when it was answered (protocol D6).

use std::time::Duration;

use jiff::Timestamp;
use risiti_domain::InvoiceId;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::{millis, statements};
use crate::lanes::leases::Claim;

statements! {
    /// From here on nobody knows whether the number is taken, until an answer says so: a worker that dies
    /// now leaves `unknown_since` behind.
    BEGIN = "
        WITH held AS (
            UPDATE lane_leases SET lease_until = clock_timestamp() + interval '10 seconds'
            WHERE device_id = $1 AND claim_id = $2 RETURNING device_id
        ), lane AS (
            SELECT device_id FROM lanes
            WHERE device_id = (SELECT device_id FROM held) AND next_invoice_no = $4 AND halted_at IS NULL
        ), out AS (
            UPDATE invoices SET state = 'submitting', invoice_no = $4, attempts = attempts + 1,
                first_sent_at = coalesce(first_sent_at, $6), unknown_since = coalesce(unknown_since, now()),
                moved_by = 'etims-worker', moved_because = 'its turn in the lane', moved_event = NULL
            WHERE id = $3 AND device_id = (SELECT device_id FROM lane)
              AND (state = 'pending' OR (state = 'submitting' AND invoice_no = $4))
            RETURNING id, device_id
        )
        INSERT INTO submissions (invoice_id, device_id, invoice_no, claim_id, body)
        SELECT id, device_id, $4, $2, $5 FROM out RETURNING id";
    ANSWERED = "
        WITH held AS (
            UPDATE lane_leases SET lease_until = clock_timestamp() + interval '10 seconds'
            WHERE device_id = $1 AND claim_id = $2 RETURNING device_id
        ), sent AS (
            UPDATE submissions SET outcome = $4, code = $5, message = $6, answered_at = clock_timestamp()
            WHERE id = $3 AND EXISTS (SELECT FROM held) RETURNING invoice_id
        ), invoice AS (
            UPDATE invoices i SET last_code = $5, last_error = $6,
                unknown_since = CASE WHEN $7 THEN NULL ELSE unknown_since END,
                hidden_since = CASE WHEN $8 THEN coalesce(hidden_since, now()) ELSE hidden_since END,
                refused_at = CASE WHEN $12 THEN now() ELSE refused_at END
            FROM sent WHERE i.id = sent.invoice_id AND i.state = 'submitting'
        )
        UPDATE lanes SET last_outcome = $9, last_call_at = now(),
            retry_step = retry_step + CASE WHEN $10 THEN 1 ELSE 0 END,
            retry_at = now() + $11::bigint * interval '1 millisecond'
        WHERE device_id = (SELECT device_id FROM held)";
    ACCEPTED = "
        WITH held AS (
            UPDATE lane_leases SET lease_until = clock_timestamp() + interval '10 seconds'
            WHERE device_id = $1 AND claim_id = $2 RETURNING device_id
        ), invoice AS (
            UPDATE invoices SET state = 'success', receipt_no = $6, total_receipt_no = $7, receipt_signature = $8,
                internal_data = $9, control_unit_id = $10, receipt_url = $11, issued_at = coalesce($12, now()),
                unknown_since = NULL, hidden_since = NULL, refused_at = NULL, look_up_due_at = NULL, look_up_no = NULL,
                discard_wish = NULL, last_code = NULL, last_error = NULL,
                moved_by = 'etims-worker', moved_because = $13, moved_event = NULL
            WHERE id = $3 AND device_id = (SELECT device_id FROM held) AND state = 'submitting' AND invoice_no = $4
            RETURNING id, device_id, invoice_no
        ), sent AS (
            UPDATE submissions SET outcome = 'ok', answered_at = clock_timestamp()
            WHERE id = $5 AND invoice_id = (SELECT id FROM invoice)
        )
        UPDATE lanes l SET next_invoice_no = invoice.invoice_no + 1, retry_at = NULL, retry_step = 0,
            last_outcome = 'ok', last_call_at = now(), moved_by = 'etims-worker'
        FROM invoice WHERE l.device_id = invoice.device_id AND l.next_invoice_no = invoice.invoice_no";
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
}

/// What a send came to, short of being accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendResult {
    Refused,
    Unknown,
    NotSent,
}

/// An answer to a send that settles nothing for good.
#[derive(Clone, Debug)]
pub struct AnsweredSend<'a> {
    pub submission: i64,
    pub word: SendResult,
    pub code: Option<&'a str>,
    pub message: &'a str,
    /// The number is known not to be taken by this invoice.
    pub settled: bool,
    /// KRA says that the number is taken.
    pub taken: bool,
    /// It ends as a dead letter, once a look-up has not found it where `settled` is false.
    pub refused: bool,
    /// As the metrics name it.
    pub outcome: &'static str,
    /// Counts towards the lane's back-off.
    pub failed: bool,
    /// When the lane is due again; at once if `None`.
    pub pause: Option<Duration>,
}

impl SendResult {
    fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unknown => "unknown",
            Self::NotSent => "not_sent",
        }
    }
}

impl Ledger {
    /// Gives the invoice its number, for as long as the claim holds and the number is the lane's next, and
    /// stores the bytes about to be sent. `None`: something changed; look again and send nothing.
    pub async fn begin_send(
        &self,
        claim: &Claim,
        invoice: InvoiceId,
        invoice_no: i64,
        body: &[u8],
        first_sent_at: Timestamp,
    ) -> Result<Option<i64>, LedgerError> {
        let (device, id) = (claim.device.uuid(), invoice.uuid());
        let connection = self.connection().await?;
        let row = connection
            .query_opt(
                BEGIN,
                &[
                    &device,
                    &claim.claim_id,
                    &id,
                    &invoice_no,
                    &body,
                    &first_sent_at,
                ],
            )
            .await?;
        row.map(|row| Ok(row.try_get(0)?)).transpose()
    }

    /// False when the claim is gone and nothing was written.
    pub async fn send_answered(
        &self,
        claim: &Claim,
        answer: &AnsweredSend<'_>,
    ) -> Result<bool, LedgerError> {
        let connection = self.connection().await?;
        let lanes = connection
            .execute(
                ANSWERED,
                &[
                    &claim.device.uuid(),
                    &claim.claim_id,
                    &answer.submission,
                    &answer.word.as_str(),
                    &answer.code,
                    &answer.message,
                    &answer.settled,
                    &answer.taken,
                    &answer.outcome,
                    &answer.failed,
                    &answer.pause.map(millis),
                    &answer.refused,
                ],
            )
            .await?;
        Ok(lanes == 1)
    }

    /// The invoice is accepted under the number it holds; the lane goes on to the next. `submission`: the
    /// send that was answered, `None` after a look-up. False when the claim is gone and nothing was written.
    pub async fn invoice_accepted(
        &self,
        claim: &Claim,
        invoice: InvoiceId,
        invoice_no: i64,
        submission: Option<i64>,
        receipt: &StoredReceipt,
    ) -> Result<bool, LedgerError> {
        let because = if submission.is_some() {
            "accepted by KRA"
        } else {
            "found at KRA by its number"
        };
        let connection = self.connection().await?;
        let lanes = connection
            .execute(
                ACCEPTED,
                &[
                    &claim.device.uuid(),
                    &claim.claim_id,
                    &invoice.uuid(),
                    &invoice_no,
                    &submission,
                    &receipt.receipt_no,
                    &receipt.total_receipt_no,
                    &receipt.signature,
                    &receipt.internal_data,
                    &receipt.control_unit_id,
                    &receipt.url,
                    &receipt.issued_at,
                    &because,
                ],
            )
            .await?;
        Ok(lanes == 1)
    }
}
