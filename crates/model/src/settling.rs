//! The law "everything is settled once faults stop", as a property of single states.
//!
//! Stateright's own `eventually` misses counterexamples on cycles and where paths join. Instead,
//! all runs without a further fault are followed from every reachable state. Each run must end, and
//! it must end settled. That needs no fairness and no particular scheduler.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A model whose faults can be switched off.
pub trait FaultFree {
    type State: Hash;

    /// Every state that the system can reach next without a fault.
    fn fault_free_successors(&self, state: &Self::State) -> Vec<Self::State>;

    /// Whether nothing is left to do and all is as it should be.
    fn is_settled(&self, state: &Self::State) -> bool;
}

/// Checks the law, and remembers the states from which every run without faults ends settled.
#[derive(Clone, Debug, Default)]
pub struct SettlingCheck {
    settling: Arc<Mutex<HashSet<u64>>>,
}

impl SettlingCheck {
    /// Whether every run without faults ends, and ends settled.
    pub fn always_settles<M: FaultFree>(&self, model: &M, state: &M::State) -> bool {
        self.follow(model, state, &mut HashSet::new())
    }

    fn follow<M: FaultFree>(&self, model: &M, state: &M::State, path: &mut HashSet<u64>) -> bool {
        let fingerprint = fingerprint(state);
        if self.known().contains(&fingerprint) {
            return true;
        }
        // A state that is on the path already means that the run goes in a circle for ever.
        if !path.insert(fingerprint) {
            return false;
        }

        let successors = model.fault_free_successors(state);
        let settles = if successors.is_empty() {
            model.is_settled(state)
        } else {
            successors
                .iter()
                .all(|successor| self.follow(model, successor, path))
        };

        path.remove(&fingerprint);
        if settles {
            self.known().insert(fingerprint);
        }
        settles
    }

    fn known(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.settling.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fingerprint(state: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}
