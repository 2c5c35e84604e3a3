//! The tier in this process: a bounded set of keys with an expiry each (protocol A4).
//!
//! A million keys must cost no more than 32 MiB, so the set is a ring of 20-byte slots with a table of
//! 4-byte positions beside it. A full ring evicts with a second chance: a key that was asked for since
//! the hand last passed it is passed over once, and otherwise the oldest goes.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

use hashbrown::HashTable;

use super::DedupKey;

/// The highest bit of a slot's expiry says that the key was asked for since the hand passed.
const ASKED_FOR: u32 = 1 << 31;

pub(super) struct Memory {
    /// Expiries count whole seconds from here.
    epoch: Instant,
    capacity: usize,
    slots: Vec<Slot>,
    /// The position of each key's slot.
    positions: HashTable<u32>,
    /// The slot that is looked at next for eviction.
    hand: usize,
    /// Keyed at random, so that nobody can choose delivery keys that collide.
    hasher: RandomState,
}

struct Slot {
    key: [u8; DedupKey::BYTES],
    expires_at: u32,
}

impl Memory {
    pub(super) fn new(entries_max: u64) -> Self {
        Self {
            epoch: Instant::now(),
            capacity: usize::try_from(entries_max)
                .unwrap_or(usize::MAX)
                .clamp(1, u32::MAX as usize),
            slots: Vec::new(),
            positions: HashTable::new(),
            hand: 0,
            hasher: RandomState::new(),
        }
    }

    pub(super) fn contains(&mut self, key: &DedupKey) -> bool {
        let now = self.now();
        let hash = self.hasher.hash_one(key.bytes());
        let found = self.positions.find(hash, |position| {
            self.slots[*position as usize].key == *key.bytes()
        });
        let Some(position) = found else {
            return false;
        };

        let slot = &mut self.slots[*position as usize];
        if slot.expires_at & !ASKED_FOR <= now {
            return false;
        }
        slot.expires_at |= ASKED_FOR;
        true
    }

    pub(super) fn remember(&mut self, key: &DedupKey, ttl: Duration) {
        let ttl = u32::try_from(ttl.as_secs()).unwrap_or(ASKED_FOR - 1);
        let expires_at = self.now().saturating_add(ttl).min(ASKED_FOR - 1);
        let hash = self.hasher.hash_one(key.bytes());
        let is_key = |position: &u32| self.slots[*position as usize].key == *key.bytes();
        if let Some(position) = self.positions.find(hash, is_key) {
            self.slots[*position as usize].expires_at = expires_at;
            return;
        }

        let slot = Slot {
            key: *key.bytes(),
            expires_at,
        };
        let position = if self.slots.len() < self.capacity {
            self.slots.push(slot);
            self.slots.len() - 1
        } else {
            let position = self.evict();
            self.slots[position] = slot;
            position
        };
        let position = u32::try_from(position).expect("the capacity fits into 32 bits");
        self.positions.insert_unique(hash, position, |position| {
            self.hasher.hash_one(self.slots[*position as usize].key)
        });
    }

    /// Frees a slot and returns its position. It ends within two rounds, since the first round takes
    /// every second chance away.
    fn evict(&mut self) -> usize {
        let now = self.now();
        loop {
            let position = self.hand;
            self.hand = (self.hand + 1) % self.slots.len();
            let slot = &mut self.slots[position];
            let expired = slot.expires_at & !ASKED_FOR <= now;
            if !expired && slot.expires_at & ASKED_FOR != 0 {
                slot.expires_at &= !ASKED_FOR;
                continue;
            }

            let hash = self.hasher.hash_one(slot.key);
            let at_position = |candidate: &u32| *candidate as usize == position;
            if let Ok(entry) = self.positions.find_entry(hash, at_position) {
                entry.remove();
            }
            return position;
        }
    }

    fn now(&self) -> u32 {
        u32::try_from(self.epoch.elapsed().as_secs()).unwrap_or(ASKED_FOR - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn key(n: u64) -> DedupKey {
        let mut bytes = [0; DedupKey::BYTES];
        bytes[..8].copy_from_slice(&n.to_be_bytes());
        DedupKey::from_bytes(bytes)
    }

    #[test]
    fn full_cache_takes_new_keys_and_evicts_the_oldest() {
        let mut memory = Memory::new(100);
        for n in 0..1_000 {
            memory.remember(&key(n), HOUR);
        }
        assert_eq!((memory.slots.len(), memory.positions.len()), (100, 100));
        for n in 900..1_000 {
            assert!(memory.contains(&key(n)), "{n}");
        }
        assert!(!memory.contains(&key(0)) && !memory.contains(&key(899)));
    }

    #[test]
    fn key_that_is_asked_for_outlives_keys_that_are_not() {
        let mut memory = Memory::new(100);
        for n in 0..1_000 {
            memory.remember(&key(n), HOUR);
            assert!(memory.contains(&key(0)), "{n}");
        }
        assert!(!memory.contains(&key(1)));
    }

    #[test]
    fn key_expires_with_its_own_ttl() {
        let mut memory = Memory::new(10);
        memory.remember(&key(1), Duration::ZERO);
        memory.remember(&key(2), HOUR);
        assert!(!memory.contains(&key(1)));
        assert!(memory.contains(&key(2)));
        memory.remember(&key(1), HOUR);
        assert!(memory.contains(&key(1)));
        assert_eq!(memory.slots.len(), 2, "a key has one slot");
    }

    #[test]
    fn full_cache_of_a_million_keys_costs_at_most_32_mib() {
        const ENTRIES: u64 = 1_000_000;
        let mut memory = Memory::new(ENTRIES);
        for n in 0..ENTRIES {
            memory.remember(&key(n), HOUR);
        }
        let slots = memory.slots.capacity() * size_of::<Slot>();
        let bytes = slots + memory.positions.allocation_size();
        assert!(bytes <= 32 << 20, "{bytes} bytes");
    }
}
