//! The leases this worker holds, renewed together (protocol D1).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use risiti_domain::DeviceId;
use risiti_ledger::{Claim, LEASE, Ledger};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Well within half a lease, after which nothing is sent (protocol D5).
const RENEWAL: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
pub(crate) struct Leases(Mutex<HashMap<Uuid, Entry>>);

#[derive(Debug)]
struct Entry {
    device: DeviceId,
    confirmed: Arc<Mutex<Instant>>,
}

/// A lease while it is held; no longer renewed once dropped.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    leases: &'a Leases,
    claim_id: Uuid,
    confirmed: Arc<Mutex<Instant>>,
}

impl Leases {
    /// `asked`: when the claim was asked for, not when it was had.
    pub(crate) fn hold(&self, claim: &Claim, asked: Instant) -> Held<'_> {
        let confirmed = Arc::new(Mutex::new(asked));
        let entry = Entry {
            device: claim.device,
            confirmed: confirmed.clone(),
        };
        self.entries().insert(claim.claim_id, entry);
        Held {
            leases: self,
            claim_id: claim.claim_id,
            confirmed,
        }
    }

    /// Until the end.
    pub(crate) async fn renew(&self, ledger: &Ledger, end: &CancellationToken) {
        while !end.is_cancelled() {
            tokio::select! {
                () = tokio::time::sleep(RENEWAL) => {}
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
            let asked = Instant::now();
            match ledger.renew_leases(&claims).await {
                Ok(renewed) => self.confirm(&renewed, asked),
                Err(error) => tracing::warn!(%error, "leases were not renewed"),
            }
        }
    }

    fn confirm(&self, claims: &[Uuid], asked: Instant) {
        let entries = self.entries();
        for entry in claims.iter().filter_map(|claim| entries.get(claim)) {
            later(&entry.confirmed, asked);
        }
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held<'_> {
    /// A write that renews the lease went through; it was asked for at this time.
    pub(crate) fn confirm(&self, asked: Instant) {
        later(&self.confirmed, asked);
    }

    /// Not so old that somebody else may hold the lane by the time a call arrives (protocol D5).
    pub(crate) fn is_fresh(&self) -> bool {
        self.confirmed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .elapsed()
            < LEASE / 2
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.leases.entries().remove(&self.claim_id);
    }
}

fn later(confirmed: &Mutex<Instant>, asked: Instant) {
    let mut confirmed = confirmed.lock().unwrap_or_else(PoisonError::into_inner);
    *confirmed = asked.max(*confirmed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_goes_stale_at_half_its_time_and_is_fresh_again_once_confirmed() {
        let leases = Leases::default();
        let claim = Claim {
            device: DeviceId::from_uuid(Uuid::from_u128(1)),
            claim_id: Uuid::from_u128(2),
            host: "kra:443".to_owned(),
        };
        let held = leases.hold(&claim, Instant::now().checked_sub(LEASE / 2).unwrap());
        assert!(!held.is_fresh());
        leases.confirm(&[claim.claim_id], Instant::now());
        assert!(held.is_fresh());
        held.confirm(Instant::now().checked_sub(LEASE).unwrap());
        assert!(held.is_fresh(), "an older confirmation takes nothing back");
        drop(held);
        assert!(leases.entries().is_empty());
    }
}
