//! The cache in memory. It is bounded in entries and evicts the least recently used (protocol A4).

use std::time::{Duration, Instant};

use moka::Expiry;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::DedupKey;

pub(super) struct Memory(Cache<DedupKey, Duration>);

/// Each entry has its own time to live, because gateways retry for different spans.
struct EntryTtl;

impl Expiry<DedupKey, Duration> for EntryTtl {
    fn expire_after_create(&self, _: &DedupKey, ttl: &Duration, _: Instant) -> Option<Duration> {
        Some(*ttl)
    }
}

impl Memory {
    pub(super) fn new(entries_max: u64) -> Self {
        Self(
            Cache::builder()
                .max_capacity(entries_max)
                // moka's default policy refuses new keys when the cache is full, and new keys are
                // the ones that matter.
                .eviction_policy(EvictionPolicy::lru())
                .expire_after(EntryTtl)
                .build(),
        )
    }

    pub(super) fn contains(&self, key: &DedupKey) -> bool {
        self.0.get(key).is_some()
    }

    pub(super) fn remember(&self, key: DedupKey, ttl: Duration) {
        self.0.insert(key, ttl);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u64) -> DedupKey {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        DedupKey(bytes)
    }

    #[test]
    fn full_cache_takes_new_keys_and_evicts_the_oldest() {
        let memory = Memory::new(100);
        for number in 0..1_000 {
            memory.remember(key(number), Duration::from_secs(3600));
            memory.0.run_pending_tasks();
        }
        assert_eq!(memory.0.entry_count(), 100);
        assert!(memory.contains(&key(999)));
        assert!(!memory.contains(&key(0)));
    }

    #[test]
    fn entry_expires_after_its_own_ttl() {
        let memory = Memory::new(10);
        memory.remember(key(1), Duration::ZERO);
        memory.remember(key(2), Duration::from_secs(3600));
        assert!(!memory.contains(&key(1)));
        assert!(memory.contains(&key(2)));
    }
}
