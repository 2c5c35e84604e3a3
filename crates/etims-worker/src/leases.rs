//! The leases this worker holds. They are renewed together (protocol D1).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use risiti_domain::DeviceId;
use risiti_ledger::{Claim, LEASE, Ledger};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Half a lease after the last renewal nothing is sent (protocol D5). This is well below.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
pub(crate) struct Leases(Mutex<HashMap<Uuid, LeaseEntry>>);

#[derive(Debug)]
struct LeaseEntry {
    device: DeviceId,
    /// When the last renewal that succeeded was asked for.
    confirmed: Arc<Mutex<Instant>>,
}

/// A lease that is renewed until this is dropped.
#[derive(Debug)]
pub(crate) struct HeldLease<'a> {
    leases: &'a Leases,
    claim_id: Uuid,
    confirmed: Arc<Mutex<Instant>>,
}

impl Leases {
    /// Keeps a lease. `asked_at` is when the claim was asked for, because the lease may have begun
    /// then.
    pub(crate) fn hold(&self, claim: &Claim, asked_at: Instant) -> HeldLease<'_> {
        let confirmed = Arc::new(Mutex::new(asked_at));
        let entry = LeaseEntry {
            device: claim.device,
            confirmed: confirmed.clone(),
        };
        self.entries().insert(claim.claim_id, entry);
        HeldLease {
            leases: self,
            claim_id: claim.claim_id,
            confirmed,
        }
    }

    /// Renews all leases at an interval, until the end.
    pub(crate) async fn renew(&self, ledger: &Ledger, end: &CancellationToken) {
        while !end.is_cancelled() {
            tokio::select! {
                () = tokio::time::sleep(RENEWAL_INTERVAL) => {}
                () = end.cancelled() => return,
            }
            let claims: Vec<_> = self
                .entries()
                .iter()
                .map(|(claim, entry)| (entry.device, *claim))
                .collect();
            if claims.is_empty() {
                continue;
            }
            let asked_at = Instant::now();
            match ledger.renew_leases(&claims).await {
                Ok(renewed) => self.confirm(&renewed, asked_at),
                Err(error) => tracing::warn!(%error, "leases not renewed"),
            }
        }
    }

    fn confirm(&self, claims: &[Uuid], asked_at: Instant) {
        let entries = self.entries();
        for entry in claims.iter().filter_map(|claim| entries.get(claim)) {
            move_forward(&entry.confirmed, asked_at);
        }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Uuid, LeaseEntry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HeldLease<'_> {
    /// Notes that a write renewed the lease. `asked_at` is when the write was asked for.
    pub(crate) fn confirm(&self, asked_at: Instant) {
        move_forward(&self.confirmed, asked_at);
    }

    /// Whether the lease is young enough that nobody else holds the lane when a call arrives
    /// (protocol D5).
    pub(crate) fn is_fresh(&self) -> bool {
        self.confirmed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .elapsed()
            < LEASE / 2
    }
}

impl Drop for HeldLease<'_> {
    fn drop(&mut self) {
        self.leases.entries().remove(&self.claim_id);
    }
}

fn move_forward(confirmed: &Mutex<Instant>, asked_at: Instant) {
    let mut confirmed = confirmed.lock().unwrap_or_else(PoisonError::into_inner);
    *confirmed = asked_at.max(*confirmed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_stale_at_half_its_time_until_confirmed() {
        let leases = Leases::default();
        let claim = Claim {
            device: DeviceId::from_uuid(Uuid::from_u128(1)),
            claim_id: Uuid::from_u128(2),
            host: "kra:443".to_owned(),
        };
        let lease = leases.hold(&claim, Instant::now().checked_sub(LEASE / 2).unwrap());
        assert!(!lease.is_fresh());
        leases.confirm(&[claim.claim_id], Instant::now());
        assert!(lease.is_fresh());
        lease.confirm(Instant::now().checked_sub(LEASE).unwrap());
        assert!(lease.is_fresh(), "an older confirmation changes nothing");
        drop(lease);
        assert!(leases.entries().is_empty());
    }
}
