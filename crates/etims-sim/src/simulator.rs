//! The state of a simulator, which every request shares.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::config::Config;
use crate::faults::script::FaultScript;
use crate::records::KraRecords;
use crate::render::Renderer;
use crate::seeded;
use crate::traffic::Traffic;

/// Everything that the simulator knows.
pub(crate) struct Simulator {
    pub(crate) config: Config,
    records: Mutex<KraRecords>,
    fault_script: Mutex<FaultScript>,
    pub(crate) traffic: Traffic,
    /// Raised when the state is cleared. Late deliveries of an earlier epoch are dropped.
    pub(crate) epoch: AtomicU64,
    /// Late deliveries that are still to come.
    pub(crate) late_deliveries: AtomicUsize,
    answers: AtomicU64,
}

impl Simulator {
    pub(crate) fn new(config: Config, records: KraRecords, traffic: Traffic) -> Self {
        Self {
            config,
            records: Mutex::new(records),
            fault_script: Mutex::default(),
            traffic,
            epoch: AtomicU64::new(0),
            late_deliveries: AtomicUsize::new(0),
            answers: AtomicU64::new(0),
        }
    }

    pub(crate) fn records(&self) -> MutexGuard<'_, KraRecords> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn fault_script(&self) -> MutexGuard<'_, FaultScript> {
        self.fault_script
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The renderer of one answer.
    pub(crate) fn renderer(&self) -> Renderer {
        let number = self.answers.fetch_add(1, Ordering::Relaxed).to_string();
        Renderer {
            dialect: self.config.dialect,
            reference: seeded::uuid(self.config.seed, "response", &[&number]),
        }
    }
}
