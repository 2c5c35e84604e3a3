//! The in-process tier: bounded in entries, least recently used first out (protocol A4).

use std::time::{Duration, Instant};

use moka::Expiry;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::Key;

pub(super) struct Memory(Cache<Key, Duration>);

/// Each entry lives for the time it was given: gateways retry for different spans.
struct EntryTtl;

impl Expiry<Key, Duration> for EntryTtl {
    fn expire_after_create(&self, _: &Key, ttl: &Duration, _: Instant) -> Option<Duration> {
        Some(*ttl)
    }
}

impl Memory {
    pub(super) fn new(entries_max: u64) -> Self {
        Self(
            Cache::builder()
                .max_capacity(entries_max)
                // moka's default policy refuses new keys when full, which is just when they matter.
                .eviction_policy(EvictionPolicy::lru())
                .expire_after(EntryTtl)
                .build(),
        )
    }

    pub(super) fn has(&self, key: &Key) -> bool {
        self.0.get(key).is_some()
    }

    pub(super) fn remember(&self, key: Key, ttl: Duration) {
        self.0.insert(key, ttl);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u64) -> Key {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&n.to_be_bytes());
        Key(bytes)
    }

    #[test]
    fn a_full_cache_takes_new_keys_and_drops_the_oldest() {
        let memory = Memory::new(100);
        for n in 0..1_000 {
            memory.remember(key(n), Duration::from_secs(3600));
            memory.0.run_pending_tasks();
        }
        assert_eq!(memory.0.entry_count(), 100);
        assert!(memory.has(&key(999)));
        assert!(!memory.has(&key(0)));
    }

    #[test]
    fn an_entry_ends_with_its_own_ttl() {
        let memory = Memory::new(10);
        memory.remember(key(1), Duration::ZERO);
        memory.remember(key(2), Duration::from_secs(3600));
        assert!(!memory.has(&key(1)));
        assert!(memory.has(&key(2)));
    }
}
