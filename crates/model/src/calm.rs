//! "Everything is settled once faults stop", as a property of single states.
//!
//! Stateright's own `eventually` misses counterexamples on cycles and where paths join. Instead, from every
//! reachable state all runs without a further fault are followed: each must end, and end settled. That asks for
//! no fairness and for no particular scheduler.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

/// A model whose faults can be switched off.
pub trait Calm {
    type State: Hash;

    /// Every state that the system can come to next without a fault.
    fn calm_successors(&self, state: &Self::State) -> Vec<Self::State>;

    /// Nothing is left to do, and all is as it should be.
    fn settled(&self, state: &Self::State) -> bool;
}

/// States from which every calm run is known to end settled.
#[derive(Clone, Debug, Default)]
pub struct Settling(Arc<Mutex<HashSet<u64>>>);

impl Settling {
    /// False when some run without faults goes round for ever, or ends unsettled.
    pub fn always_settles<M: Calm>(&self, model: &M, state: &M::State) -> bool {
        self.follow(model, state, &mut HashSet::new())
    }

    fn follow<M: Calm>(&self, model: &M, state: &M::State, path: &mut HashSet<u64>) -> bool {
        let print = fingerprint(state);
        if self.known(print) {
            return true;
        }
        if !path.insert(print) {
            return false;
        }
        let next = model.calm_successors(state);
        let good = if next.is_empty() {
            model.settled(state)
        } else {
            next.iter().all(|next| self.follow(model, next, path))
        };
        path.remove(&print);
        if good {
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(print);
        }
        good
    }

    fn known(&self, print: u64) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&print)
    }
}

fn fingerprint(state: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}
