//! Leases: who may work a lane (protocol D1, D3, D4).
//!
//! A lease only saves work. The claim id makes writes safe: every write of a lane begins by locking
//! and renewing its lease row under that id. Taking a lane over and writing to it therefore exclude
//! each other, and a worker whose claim is gone writes nothing (protocol D6).

use std::time::Duration;

use risiti_domain::DeviceId;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::{Ledger, Transaction};
use crate::db::statements::{millis, statements};

/// How long a lane stays with a worker that neither writes nor renews.
pub const LEASE: Duration = Duration::from_secs(10);

/// The start of every one-statement write of a lane. The rest of the statement may write only where
/// `held` has a row, which it has while the claim `$2` still holds the lane `$1` (protocol D6).
macro_rules! held_claim {
    () => {
        "
        WITH held AS (
            UPDATE lane_leases SET lease_until = clock_timestamp() + interval '10 seconds'
            WHERE device_id = $1 AND claim_id = $2 RETURNING device_id
        )"
    };
}
pub(crate) use held_claim;

statements! {
    /// It locks the lease before the lane, as every write of a lane does. In another order two
    /// statements could wait for each other. The condition on `taken` is always true and only makes
    /// the update of the lane come second.
    CLAIM = "
        WITH taken AS (
            INSERT INTO lane_leases (device_id, claim_id, worker_id, lease_until)
            SELECT l.device_id, $2, $3, clock_timestamp() + interval '10 seconds'
            FROM lanes l JOIN hosts h ON h.host = l.host
            WHERE l.device_id = $1 AND l.halted_at IS NULL AND (l.retry_at IS NULL OR l.retry_at <= now())
              AND (h.breaker = 'closed' OR (h.breaker = 'open' AND h.retry_at <= now())
                   OR (h.breaker = 'trying' AND h.trial_until <= now()))
              AND NOT EXISTS (SELECT FROM lane_leases x WHERE x.device_id = $1 AND x.lease_until > clock_timestamp())
            ON CONFLICT (device_id) DO UPDATE SET claim_id = excluded.claim_id, worker_id = excluded.worker_id,
                lease_until = excluded.lease_until
            WHERE lane_leases.lease_until <= clock_timestamp()
            RETURNING device_id
        ), seen AS (
            UPDATE lanes SET token_at = NULL
            WHERE device_id = $1 AND token_at IS NOT NULL AND (SELECT count(*) FROM taken) >= 0
        )
        SELECT l.host FROM lanes l JOIN taken USING (device_id)";
    /// Opens every transaction that writes to a lane, as `held_claim!` opens single statements
    /// (protocol D6).
    HOLD = "
        UPDATE lane_leases SET lease_until = clock_timestamp() + interval '10 seconds'
        WHERE device_id = $1 AND claim_id = $2 RETURNING device_id";
    /// It skips rows that a transaction of ours has locked. That transaction renews them itself.
    RENEW = "
        UPDATE lane_leases SET lease_until = clock_timestamp() + interval '10 seconds'
        FROM (
            SELECT x.device_id FROM lane_leases x
            JOIN unnest($1::uuid[], $2::uuid[]) AS m (device_id, claim_id) USING (device_id, claim_id)
            ORDER BY x.device_id FOR UPDATE OF x SKIP LOCKED
        ) mine
        WHERE lane_leases.device_id = mine.device_id
        RETURNING lane_leases.claim_id";
    RELEASE = "
        WITH gone AS (DELETE FROM lane_leases WHERE device_id = $1 AND claim_id = $2 RETURNING device_id)
        UPDATE lanes l SET token_at = now()
        FROM gone
        WHERE l.device_id = gone.device_id AND l.halted_at IS NULL AND l.token_at IS NULL
          AND (l.retry_at IS NULL OR l.retry_at <= now()) AND lane_has_work(l.device_id)";
    ABANDON = "
        WITH gone AS (DELETE FROM lane_leases WHERE device_id = $1 AND claim_id = $2 RETURNING device_id)
        UPDATE lanes l SET retry_at = greatest(l.retry_at, now() + $3::bigint * interval '1 millisecond')
        FROM gone WHERE l.device_id = gone.device_id";
}

/// A worker's exclusive right to work a lane.
///
/// It is good for [`LEASE`] after each write or renewal, and after that until somebody else takes
/// the lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub device: DeviceId,
    pub claim_id: Uuid,
    /// The value of `lanes.host`, which the cap and the breaker count by.
    pub host: String,
}

/// Why work on a claimed lane failed.
#[derive(Debug, thiserror::Error)]
pub enum LaneError {
    /// Another worker took the lane. Nothing was written.
    #[error("the claim on the lane is gone")]
    ClaimGone,
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// What remains to be done for a lane that was released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// The lane has more work and is marked as having a wake-up: publish one.
    WakeUpDue,
    /// The lane has nothing to do now, or the claim was gone.
    Idle,
}

impl From<tokio_postgres::Error> for LaneError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Ledger(error.into())
    }
}

impl Claim {
    /// Locks and renews the lease for the rest of the transaction.
    pub(crate) async fn hold(&self, transaction: &Transaction<'_>) -> Result<(), LaneError> {
        let leases = transaction
            .execute(HOLD, &[&self.device.uuid(), &self.claim_id])
            .await?;
        require_claim(leases)
    }
}

/// Reads the outcome of a statement that begins with `held_claim!` and ends by updating the lane:
/// without the claim it finds no lane to update.
pub(crate) fn require_claim(rows: u64) -> Result<(), LaneError> {
    if rows == 1 {
        Ok(())
    } else {
        Err(LaneError::ClaimGone)
    }
}

impl Ledger {
    /// Takes a lane that is due, not halted, and not leased. It is `None` otherwise. In both cases
    /// the lane's wake-up counts as spent (protocol D3).
    pub async fn claim_lane(
        &self,
        device: DeviceId,
        worker: Uuid,
    ) -> Result<Option<Claim>, LedgerError> {
        let claim_id = Uuid::now_v7();
        let connection = self.connection().await?;
        let row = connection
            .query_opt(CLAIM, &[&device.uuid(), &claim_id, &worker])
            .await?;
        row.map(|row| {
            Ok(Claim {
                device,
                claim_id,
                host: row.try_get(0)?,
            })
        })
        .transpose()
    }

    /// Renews leases and returns the claims that still hold.
    pub async fn renew_leases(
        &self,
        claims: &[(DeviceId, Uuid)],
    ) -> Result<Vec<Uuid>, LedgerError> {
        let devices: Vec<Uuid> = claims.iter().map(|(device, _)| device.uuid()).collect();
        let ids: Vec<Uuid> = claims.iter().map(|(_, claim)| *claim).collect();
        let rows = self
            .connection()
            .await?
            .query(RENEW, &[&devices, &ids])
            .await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// Gives a lane back, and says whether it needs a wake-up.
    pub async fn release_lane(&self, claim: &Claim) -> Result<Released, LedgerError> {
        let connection = self.connection().await?;
        let marked = connection
            .execute(RELEASE, &[&claim.device.uuid(), &claim.claim_id])
            .await?;
        Ok(if marked == 1 {
            Released::WakeUpDue
        } else {
            Released::Idle
        })
    }

    /// Gives back a lane that could not be worked. It is not due before the pause is over, because
    /// errors of our own must not repeat without end.
    pub async fn abandon_lane(&self, claim: &Claim, pause: Duration) -> Result<(), LedgerError> {
        let connection = self.connection().await?;
        connection
            .execute(
                ABANDON,
                &[&claim.device.uuid(), &claim.claim_id, &millis(pause)],
            )
            .await
            .map(drop)
    }
}
