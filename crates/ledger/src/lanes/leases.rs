//! Leases: who may work a lane (protocol D1, D3, D4).
//!
//! A lease saves work; it is the claim id that makes writes safe. Every write of a lane begins by locking
//! and renewing its lease row under that id, so that taking a lane over and writing to it exclude each
//! other, and a worker whose claim is gone writes nothing (protocol D6).

use std::time::Duration;

use risiti_domain::DeviceId;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::{Ledger, Transaction};
use crate::db::statements::millis;
use crate::db::statements::statements;

/// How long a lane stays with a worker that says nothing more.
pub const LEASE: Duration = Duration::from_secs(10);

statements! {
    /// The lease before the lane, as in every write of a lane: the other way round two could wait for each other.
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
    /// Opens every transaction that writes to a lane (protocol D6).
    HOLD = "
        UPDATE lane_leases SET lease_until = clock_timestamp() + interval '10 seconds'
        WHERE device_id = $1 AND claim_id = $2 RETURNING device_id";
    /// Rows that a transaction of ours holds are renewed by that transaction.
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

/// A worker's hold on a lane, good for [`LEASE`] after each write or renewal, and for as long after it as
/// nobody else takes the lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub device: DeviceId,
    pub claim_id: Uuid,
    /// As `lanes.host` has it: what the cap and the breaker count by.
    pub host: String,
}

impl Claim {
    /// Locks and renews the lease for the rest of the transaction. False when the lane is no longer ours.
    pub(crate) async fn hold(&self, transaction: &Transaction<'_>) -> Result<bool, LedgerError> {
        Ok(transaction
            .execute(HOLD, &[&self.device.uuid(), &self.claim_id])
            .await?
            == 1)
    }
}

impl Ledger {
    /// Takes a lane that is due, not halted, and nobody's; `None` otherwise. Either way the lane's token
    /// counts as spent (protocol D3).
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

    /// Lets go of a lane. True when it has more work now: it is marked as having a token, so publish one.
    pub async fn release_lane(&self, claim: &Claim) -> Result<bool, LedgerError> {
        let connection = self.connection().await?;
        Ok(connection
            .execute(RELEASE, &[&claim.device.uuid(), &claim.claim_id])
            .await?
            == 1)
    }

    /// Lets go of a lane that could not be worked, for this long at least: trouble of our own must not spin.
    pub async fn abandon_lane(&self, claim: &Claim, pause: Duration) -> Result<(), LedgerError> {
        let connection = self.connection().await?;
        let (device, pause) = (claim.device.uuid(), millis(pause));
        connection
            .execute(ABANDON, &[&device, &claim.claim_id, &pause])
            .await
            .map(drop)
    }
}
