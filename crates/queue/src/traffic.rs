//! Counts of what this program has put into each queue and taken out of it for good.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Target;

/// The counts of one broker, by target.
#[derive(Debug, Default)]
pub(crate) struct Traffic([Counts; Target::ALL.len()]);

#[derive(Debug, Default)]
struct Counts {
    published: AtomicU64,
    acked: AtomicU64,
    held: AtomicU64,
}

impl Traffic {
    /// Counts a publish that the broker has confirmed.
    pub(crate) fn add_published(&self, target: Target) {
        self.of(target).published.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a delivery until the returned value is dropped.
    pub(crate) fn hold(self: &Arc<Self>, target: Target) -> HeldDelivery {
        self.of(target).held.fetch_add(1, Ordering::Relaxed);
        HeldDelivery {
            traffic: Arc::clone(self),
            target,
        }
    }

    pub(crate) fn published(&self, target: Target) -> u64 {
        self.of(target).published.load(Ordering::Relaxed)
    }

    pub(crate) fn acked(&self, target: Target) -> u64 {
        self.of(target).acked.load(Ordering::Relaxed)
    }

    pub(crate) fn held(&self, target: Target) -> u64 {
        self.of(target).held.load(Ordering::Relaxed)
    }

    fn of(&self, target: Target) -> &Counts {
        &self.0[target as usize]
    }
}

/// A delivery that is held and counted as such.
pub(crate) struct HeldDelivery {
    traffic: Arc<Traffic>,
    target: Target,
}

impl HeldDelivery {
    /// Counts an ack that stands for this delivery and others of its queue.
    pub(crate) fn add_acked(&self, deliveries: usize) {
        let acked = &self.traffic.of(self.target).acked;
        acked.fetch_add(deliveries as u64, Ordering::Relaxed);
    }
}

impl Drop for HeldDelivery {
    fn drop(&mut self) {
        let held = &self.traffic.of(self.target).held;
        held.fetch_sub(1, Ordering::Relaxed);
    }
}
