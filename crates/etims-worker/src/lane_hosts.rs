//! Which host a lane belongs to, as far as this worker has seen. It decides only whose place a lane
//! takes. The claim tells the host that is called.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use risiti_domain::DeviceId;

/// More lanes than this are forgotten all at once, and read again one by one.
const LANES_MAX: usize = 50_000;

#[derive(Debug, Default)]
pub(crate) struct LaneHosts(Mutex<HashMap<DeviceId, Arc<str>>>);

impl LaneHosts {
    pub(crate) fn get(&self, lane: DeviceId) -> Option<String> {
        self.known().get(&lane).map(|host| host.to_string())
    }

    pub(crate) fn set(&self, lane: DeviceId, host: &str) {
        let mut known = self.known();
        if known.get(&lane).is_some_and(|known| **known == *host) {
            return;
        }
        if known.len() >= LANES_MAX {
            known.clear();
        }
        known.insert(lane, host.into());
    }

    fn known(&self) -> MutexGuard<'_, HashMap<DeviceId, Arc<str>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use risiti_domain::DeviceId;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn known_lanes_are_bounded_and_follow_their_host() {
        let hosts = LaneHosts::default();
        let lane = |n| DeviceId::from_uuid(Uuid::from_u128(n));
        hosts.set(lane(0), "old:443");
        hosts.set(lane(0), "new:443");
        assert_eq!(hosts.get(lane(0)).as_deref(), Some("new:443"));
        for n in 1..=LANES_MAX as u128 {
            hosts.set(lane(n), "kra:443");
        }
        assert!(hosts.known().len() <= LANES_MAX);
        assert_eq!(hosts.get(lane(0)), None);
    }
}
