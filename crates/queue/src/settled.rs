//! Which deliveries of a channel are settled. From that follows which acks may be sent as one.

use std::collections::BTreeMap;

/// The settled deliveries of one channel, whose tags count up from one.
///
/// An ack with `multiple` settles everything up to its tag. So it may stand for a run of deliveries
/// only when everything below the run is settled already.
#[derive(Debug)]
pub(crate) struct Settled {
    /// Runs of settled tags, each by its first tag with its last. There are no more of them than
    /// deliveries that are not settled, which the prefetch bounds.
    runs: BTreeMap<u64, u64>,
}

impl Default for Settled {
    fn default() -> Self {
        // No delivery has tag zero, so it can stand for "everything before the first".
        Self {
            runs: BTreeMap::from([(0, 0)]),
        }
    }
}

impl Settled {
    /// Returns how many of these tags one ack can stand for: the ack with `multiple` of the last of
    /// them. The tags are in ascending order and not settled.
    pub(crate) fn covered_by_one_ack(&self, tags: impl IntoIterator<Item = u64>) -> usize {
        let after = |tag: u64| self.runs.get(&tag).map_or(tag, |last| last + 1);
        let mut lowest_open = after(0);
        tags.into_iter()
            .take_while(|tag| {
                let covered = *tag == lowest_open;
                if covered {
                    lowest_open = after(tag + 1);
                }
                covered
            })
            .count()
    }

    /// Adds a tag that was acked or rejected.
    pub(crate) fn add(&mut self, tag: u64) {
        let mut first = tag;
        if let Some((before, last)) = self.runs.range(..=tag).next_back() {
            if *last >= tag {
                return;
            }
            if last + 1 == tag {
                first = *before;
            }
        }
        let last = self.runs.remove(&(tag + 1)).unwrap_or(tag);
        self.runs.insert(first, last);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn run_from_the_lowest_open_tag_needs_one_ack() {
        let mut settled = Settled::default();
        assert_eq!(settled.covered_by_one_ack([1, 2, 3, 5]), 3);
        settled.add(4);
        assert_eq!(settled.covered_by_one_ack([1, 2, 3, 5, 7]), 4);
        assert_eq!(settled.covered_by_one_ack([2, 3]), 0);
    }

    /// What the broker knows of a channel.
    #[derive(Default)]
    struct Unacked(BTreeSet<u64>);

    impl Unacked {
        fn ack(&mut self, tag: u64, multiple: bool) -> Vec<u64> {
            assert!(self.0.contains(&tag), "the broker closes the channel");
            if multiple {
                let above = self.0.split_off(&(tag + 1));
                std::mem::replace(&mut self.0, above).into_iter().collect()
            } else {
                self.0.remove(&tag);
                vec![tag]
            }
        }
    }

    proptest! {
        /// Batches end in any order, and any delivery may be held back or rejected.
        #[test]
        fn acks_settle_what_was_asked_and_nothing_else(
            batches in proptest::collection::vec(
                proptest::collection::vec(prop_oneof![6 => Just('a'), 1 => Just('r'), 1 => Just('h')], 1..8),
                1..12,
            ),
            later_first in proptest::collection::vec(any::<bool>(), 12),
        ) {
            let mut tag = 0;
            let mut waiting: Vec<Vec<(u64, char)>> = batches
                .iter()
                .map(|batch| batch.iter().map(|fate| { tag += 1; (tag, *fate) }).collect())
                .collect();
            let mut broker = Unacked((1..=tag).collect());
            let mut held: BTreeSet<u64> = BTreeSet::new();
            let mut settled = Settled::default();
            for later_first in later_first {
                // Two batches are under way, and either may end first.
                let place = usize::from(later_first && waiting.len() > 1);
                let Some(batch) = waiting.get(place).cloned() else { break };
                waiting.remove(place);
                let of = |wanted: char| batch.iter().filter(move |(_, fate)| *fate == wanted).map(|(tag, _)| *tag);
                held.extend(of('h'));
                for rejected in of('r') {
                    prop_assert_eq!(broker.ack(rejected, false), vec![rejected]);
                    settled.add(rejected);
                }
                let asked: Vec<u64> = of('a').collect();
                let covered = settled.covered_by_one_ack(asked.iter().copied());
                let mut acked = Vec::new();
                if covered > 0 {
                    acked.extend(broker.ack(asked[covered - 1], true));
                }
                for single in &asked[covered..] {
                    acked.extend(broker.ack(*single, false));
                }
                prop_assert_eq!(&acked, &asked);
                acked.into_iter().for_each(|tag| settled.add(tag));
                prop_assert!(settled.runs.len() <= broker.0.len() + 1);
            }
            prop_assert_eq!(&broker.0, &held);
            for tag in held {
                settled.add(tag);
            }
            prop_assert_eq!(settled.runs, BTreeMap::from([(0, tag)]));
        }
    }
}
