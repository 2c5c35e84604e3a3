//! A person's command holds a lane for its transaction, so that no worker has the lane meanwhile.

use risiti_domain::DeviceId;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Transaction;
use crate::db::statements::statements;

statements! {
    /// It takes over a lapsed claim, so that a frozen worker under it writes nothing any more.
    HOLD = "
        INSERT INTO lane_leases (device_id, claim_id, worker_id, lease_until)
        SELECT l.device_id, $2, $2, clock_timestamp() + interval '10 seconds' FROM lanes l WHERE l.device_id = $1
        ON CONFLICT (device_id) DO UPDATE SET claim_id = excluded.claim_id, worker_id = excluded.worker_id,
            lease_until = excluded.lease_until
        WHERE lane_leases.lease_until <= clock_timestamp()";
    /// The row stays locked until the transaction ends, and whoever wants the lane waits for that.
    LEAVE_NO_CLAIM = "DELETE FROM lane_leases WHERE device_id = $1";
}

/// Whether a command got hold of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LaneHold {
    Held,
    /// A worker has a claim on it, or there is no such lane.
    Taken,
}

impl Transaction<'_> {
    /// Keeps workers away from the lane until the transaction ends. The lease comes before the
    /// lane, as in every write of a lane.
    pub(crate) async fn hold_lane(&self, device: DeviceId) -> Result<LaneHold, LedgerError> {
        let id = device.uuid();
        if self.execute(HOLD, &[&id, &Uuid::now_v7()]).await? == 0 {
            return Ok(LaneHold::Taken);
        }
        self.execute(LEAVE_NO_CLAIM, &[&id]).await?;
        Ok(LaneHold::Held)
    }
}
