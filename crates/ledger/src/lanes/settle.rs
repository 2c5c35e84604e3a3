//! What a lane writes about the invoice that holds its number, other than answers to sends: absent
//! at KRA, waiting, deferred, dead or halted.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use risiti_domain::{DeadCause, InvoiceId, InvoiceState};
use tokio_postgres::types::Json;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::{millis, statements};
use crate::dead_letters::insert::insert_invoice_dead_letter;
use crate::lanes::death::Death;
use crate::lanes::evidence::FoundAtKra;
use crate::lanes::leases::{Claim, LaneError, held_claim, require_claim};

/// How long look-ups may fail to show a number that KRA calls taken (protocol D9).
pub const HIDDEN_MAX: SignedDuration = SignedDuration::from_mins(15);
/// How long it may stay unknown whether a number is taken, while the host answers others
/// (protocol D9).
pub const UNKNOWN_MAX: SignedDuration = SignedDuration::from_hours(1);

statements! {
    ABSENT = concat!(
        held_claim!(),
        ", invoice AS (
            UPDATE invoices SET unknown_since = NULL, strikes = $4, rounds = $5, strike_mark = $6
            WHERE id = $3 AND state = 'submitting' AND EXISTS (SELECT FROM held)
        )
        UPDATE lanes SET last_call_at = now(), retry_at = NULL, unanswered_since = NULL
        WHERE device_id = (SELECT device_id FROM held)"
    );
    /// `$4` says that the look-up proved nothing. The quarter of an hour of answered look-ups then
    /// starts over (protocol D9). What the look-up brought is kept, unless the answer to the send
    /// still matters.
    WAIT = concat!(
        held_claim!(),
        ", invoice AS (
            UPDATE invoices SET
                hidden_since = CASE WHEN hidden_since IS NOT NULL AND $4 THEN now() ELSE hidden_since END,
                last_code = CASE WHEN $7::text IS NULL OR refused_at IS NOT NULL OR hidden_since IS NOT NULL THEN last_code
                    ELSE $6 END,
                last_error = CASE WHEN $7 IS NULL OR refused_at IS NOT NULL OR hidden_since IS NOT NULL THEN last_error
                    ELSE $7 END
            WHERE id = $3 AND state IN ('submitting', 'pending') AND EXISTS (SELECT FROM held)
        )
        UPDATE lanes SET retry_step = retry_step + 1, retry_at = now() + $5::bigint * interval '1 millisecond',
            unanswered_since = CASE WHEN $4 THEN coalesce(unanswered_since, now()) ELSE unanswered_since END,
            last_outcome = CASE WHEN $7 IS NULL THEN last_outcome ELSE 'unknown' END,
            last_call_at = CASE WHEN $7 IS NULL THEN last_call_at ELSE now() END
        WHERE device_id = (SELECT device_id FROM held)"
    );
    DEFER = concat!(
        held_claim!(),
        ", invoice AS (
            UPDATE invoices SET state = 'pending', invoice_no = NULL, position = nextval('lane_position'),
                unknown_since = NULL, strikes = $4, rounds = 0, strike_mark = $5,
                moved_by = 'etims-worker', moved_because = 'steps aside after failing', moved_event = NULL
            WHERE id = $3 AND state = 'submitting' AND device_id = (SELECT device_id FROM held)
        )
        UPDATE lanes SET last_call_at = now(), retry_at = NULL, unanswered_since = NULL
        WHERE device_id = (SELECT device_id FROM held)"
    );
    NUMBER_BACK = "
        UPDATE lanes SET last_outcome = $2, last_call_at = now(), retry_step = 0, retry_at = NULL, unanswered_since = NULL,
            deaths_in_row = deaths_in_row + CASE WHEN $3 THEN 1 ELSE 0 END
        WHERE device_id = $1 RETURNING deaths_in_row";
    /// The invoice stays where it is in the lane.
    FREE_NUMBER = concat!(
        held_claim!(),
        ", invoice AS (
            UPDATE invoices SET state = 'pending', invoice_no = NULL, unknown_since = NULL, hidden_since = NULL,
                refused_at = NULL, moved_by = 'etims-worker', moved_because = 'KRA expects another number',
                moved_event = NULL
            WHERE id = $3 AND state = 'submitting' AND device_id = (SELECT device_id FROM held)
        )
        UPDATE lanes SET last_call_at = now() WHERE device_id = (SELECT device_id FROM held)"
    );
    /// The times start over, so that whoever resumes the lane gives it another quarter of an hour,
    /// or another hour, before the same halt.
    HALT = concat!(
        held_claim!(),
        ", invoice AS (
            UPDATE invoices SET hidden_since = NULL, rounds = 0,
                unknown_since = CASE WHEN unknown_since IS NOT NULL OR hidden_since IS NOT NULL THEN now() END
            WHERE device_id = (SELECT device_id FROM held) AND state = 'submitting'
        )
        UPDATE lanes SET halted_at = now(), halt_reason = $3, halt_remedy = $4, found = $5, last_outcome = 'halt',
            last_call_at = now(), moved_by = 'etims-worker'
        WHERE device_id = (SELECT device_id FROM held) AND halted_at IS NULL"
    );
}

/// How often an invoice has failed so far (protocol D12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureCount {
    pub strikes: u32,
    /// Failures without proof since the last strike.
    pub rounds: u32,
    /// When the last strike was counted, or the first failure.
    pub mark: Timestamp,
}

/// Why an invoice died.
#[derive(Clone, Copy, Debug)]
pub struct LastWord<'a> {
    pub cause: DeadCause,
    pub strikes: u32,
    pub code: Option<&'a str>,
    pub message: &'a str,
    /// KRA gave no clear word about this invoice, so that it may be the device's trouble.
    pub unexplained: bool,
}

/// How a lane waits before it goes on with the same invoice.
#[derive(Clone, Copy, Debug, Default)]
pub struct LaneWait<'a> {
    pub pause: Option<Duration>,
    /// A look-up was not answered, or its answer proved nothing.
    pub nothing_learnt: bool,
    /// What that look-up brought.
    pub code: Option<&'a str>,
    pub message: Option<&'a str>,
}

/// The command that ends a halt (protocol D15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HaltRemedy {
    DeviceUpdate,
    LanesResolve,
    LanesResume,
}

impl HaltRemedy {
    /// The value of `lanes.halt_remedy`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::DeviceUpdate => "device update",
            Self::LanesResolve => "lanes resolve",
            Self::LanesResume => "lanes resume",
        }
    }
}

/// What came of halting a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HaltOutcome {
    Halted,
    /// The claim is gone, or somebody halted the lane already. Nothing was written.
    Unchanged,
}

impl Ledger {
    /// A look-up found nothing, so that the same bytes may be sent again.
    pub async fn looked_up_absent(
        &self,
        claim: &Claim,
        invoice: InvoiceId,
        failures: FailureCount,
    ) -> Result<(), LaneError> {
        let connection = self.connection().await?;
        let lanes = connection
            .execute(
                ABSENT,
                &[
                    &claim.device.uuid(),
                    &claim.claim_id,
                    &invoice.uuid(),
                    &int(failures.strikes),
                    &int(failures.rounds),
                    &failures.mark,
                ],
            )
            .await?;
        require_claim(lanes)
    }

    /// The lane is due again after the pause, and the invoice stays as it is.
    pub async fn lane_waits(
        &self,
        claim: &Claim,
        invoice: InvoiceId,
        wait: &LaneWait<'_>,
    ) -> Result<(), LaneError> {
        let connection = self.connection().await?;
        let lanes = connection
            .execute(
                WAIT,
                &[
                    &claim.device.uuid(),
                    &claim.claim_id,
                    &invoice.uuid(),
                    &wait.nothing_learnt,
                    &wait.pause.map(millis),
                    &wait.code,
                    &wait.message,
                ],
            )
            .await?;
        require_claim(lanes)
    }

    /// The invoice gives its number back and moves to the end of its lane (protocol D12).
    pub async fn defer_invoice(
        &self,
        claim: &Claim,
        invoice: InvoiceId,
        failures: FailureCount,
    ) -> Result<(), LaneError> {
        let connection = self.connection().await?;
        let lanes = connection
            .execute(
                DEFER,
                &[
                    &claim.device.uuid(),
                    &claim.claim_id,
                    &invoice.uuid(),
                    &int(failures.strikes),
                    &failures.mark,
                ],
            )
            .await?;
        require_claim(lanes)
    }

    /// KRA did not take the number, and expects another one. The invoice gives it back and stays
    /// first in its lane.
    pub async fn free_number(&self, claim: &Claim, invoice: InvoiceId) -> Result<(), LaneError> {
        let connection = self.connection().await?;
        let lanes = connection
            .execute(
                FREE_NUMBER,
                &[&claim.device.uuid(), &claim.claim_id, &invoice.uuid()],
            )
            .await?;
        require_claim(lanes)
    }

    /// The invoice is dead and gives its number back. Its message is in the dead-letter queue
    /// already (protocol E1).
    ///
    /// Returns how many invoices of the lane died unexplained since KRA accepted one.
    pub async fn invoice_dead(
        &self,
        claim: &Claim,
        invoice: InvoiceId,
        last_word: &LastWord<'_>,
    ) -> Result<u32, LaneError> {
        let device = claim.device.uuid();
        let LastWord {
            cause,
            strikes,
            code,
            message,
            unexplained,
        } = *last_word;
        let because = format!("{cause}: {message}");
        let mut deaths_in_row: i32 = 0;
        let mut connection = self.connection().await?;
        let transaction = connection.transaction().await?;
        claim.hold(&transaction).await?;

        let death = Death {
            device: claim.device,
            from: InvoiceState::Submitting,
            strikes: Some(int(strikes)),
            moved_by: "etims-worker",
            because: &because,
        };
        if transaction.write_death(invoice, &death).await? {
            insert_invoice_dead_letter(&transaction, invoice, cause, code, message).await?;
            let row = transaction
                .query_one(NUMBER_BACK, &[&device, &cause.as_str(), &unexplained])
                .await?;
            deaths_in_row = row.try_get(0)?;
        }
        transaction.commit().await?;
        Ok(deaths_in_row.unsigned_abs())
    }

    /// Stops the lane until somebody does what the reason says (protocol D15). The lane keeps what
    /// the look-up found, if that is why.
    pub async fn halt_lane(
        &self,
        claim: &Claim,
        reason: &str,
        remedy: HaltRemedy,
        found: Option<&FoundAtKra>,
    ) -> Result<HaltOutcome, LedgerError> {
        let connection = self.connection().await?;
        let lanes = connection
            .execute(
                HALT,
                &[
                    &claim.device.uuid(),
                    &claim.claim_id,
                    &reason,
                    &remedy.as_str(),
                    &found.map(Json),
                ],
            )
            .await?;
        Ok(if lanes == 1 {
            HaltOutcome::Halted
        } else {
            HaltOutcome::Unchanged
        })
    }
}

fn int(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
