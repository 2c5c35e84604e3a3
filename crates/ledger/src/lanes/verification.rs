//! `device verify` files under real numbers of a lane.
//!
//! It takes the lane's lease like a worker, and records every number it used, so that nothing ever
//! looks for an owner of them (protocol D11).

use risiti_domain::DeviceId;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::statements;
use crate::directory::manage_error::ManageError;
use crate::lanes::leases::Claim;
use crate::operator_actions::OperatorAction;

statements! {
    /// An invoice that is being submitted would hold the number we take.
    NEXT_NUMBER = "SELECT l.next_invoice_no FROM lanes l
        WHERE l.device_id = $1
            AND NOT EXISTS (SELECT FROM invoices i WHERE i.device_id = $1 AND i.state = 'submitting')";
    /// Unlike a worker, which may still write under a lapsed lease, verification needs one that
    /// runs.
    RENEW_RUNNING_LEASE = "UPDATE lane_leases SET lease_until = clock_timestamp() + interval '10 seconds'
        WHERE device_id = $1 AND claim_id = $2 AND lease_until > clock_timestamp()";
    PASS_NUMBER = "UPDATE lanes SET next_invoice_no = $2 + 1, moved_by = $3
        WHERE device_id = $1 AND next_invoice_no = $2";
    RECORD_FOREIGN_NUMBER = "INSERT INTO foreign_invoice_numbers (device_id, invoice_no, operator, reason)
        VALUES ($1, $2, $3, $4)";
    /// It marks no wake-up, because this program cannot publish one. The wake loop does.
    RELEASE = "DELETE FROM lane_leases WHERE device_id = $1 AND claim_id = $2";
}

impl Ledger {
    /// Takes an idle lane. The caller renews the lease with `renew_leases` and ends with
    /// [`Ledger::end_verification`].
    pub async fn begin_verification(&self, device: DeviceId) -> Result<Claim, ManageError> {
        let claim = self.claim_lane(device, Uuid::now_v7()).await?;
        claim.ok_or(ManageError::LaneBusy)
    }

    /// Returns the number KRA expects next, while no invoice of the lane is being submitted.
    pub async fn next_number(&self, claim: &Claim) -> Result<i64, ManageError> {
        let row = self
            .connection()
            .await?
            .query_opt(NEXT_NUMBER, &[&claim.device.uuid()])
            .await?;
        let row = row.ok_or(ManageError::LaneUnsettled)?;
        Ok(row.try_get(0).map_err(LedgerError::from)?)
    }

    /// Records that KRA accepted a document of ours under this number that is no invoice of a
    /// payment.
    ///
    /// # Errors
    /// [`ManageError::LaneBusy`] when the claim is gone or the number is not the next one. Nothing
    /// is then written.
    pub async fn number_used(
        &self,
        claim: &Claim,
        number: i64,
        by: &OperatorAction,
    ) -> Result<(), ManageError> {
        let mut connection = self.connection().await?;
        let transaction = connection.transaction().await?;
        let device = claim.device.uuid();
        let before = transaction.lane_before(claim.device, None).await?;
        let renewed = transaction
            .execute(RENEW_RUNNING_LEASE, &[&device, &claim.claim_id])
            .await?;
        let passed = transaction
            .execute(PASS_NUMBER, &[&device, &number, &by.operator])
            .await?;
        if renewed != 1 || passed != 1 {
            return Err(ManageError::LaneBusy);
        }
        transaction
            .execute(
                RECORD_FOREIGN_NUMBER,
                &[&device, &number, &by.operator, &by.reason],
            )
            .await?;
        let subject = serde_json::json!({ "invoice_no": number });
        transaction
            .record_lane_change("device verify", by, before, subject)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// Gives the lane back.
    pub async fn end_verification(&self, claim: &Claim) -> Result<(), LedgerError> {
        let connection = self.connection().await?;
        connection
            .execute(RELEASE, &[&claim.device.uuid(), &claim.claim_id])
            .await
            .map(drop)
    }
}
