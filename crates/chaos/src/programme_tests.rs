use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn seed_makes_one_ordered_list_within_its_time(seed: u64, seconds in 10_u64..1200) {
        let faults = programme(seed, seconds);
        prop_assert_eq!(&faults, &programme(seed, seconds));
        prop_assert!(faults.is_sorted_by_key(|fault| fault.at_ms));
        for (fault, number) in faults.iter().zip(1..) {
            prop_assert_eq!(fault.number, number);
            prop_assert!(fault.at_ms >= CALM_BEFORE_MS);
            prop_assert!(fault.at_ms + fault.lasts_ms <= seconds * 1000);
        }
    }

    #[test]
    fn ten_minutes_kill_and_freeze_every_process(seed: u64) {
        let faults = programme(seed, 600);
        let done: BTreeSet<FaultKind> = faults.iter().map(|fault| fault.kind).collect();
        for victim in Victim::all() {
            prop_assert!(done.contains(&FaultKind::Kill { victim }), "{} was not killed", victim);
            prop_assert!(done.contains(&FaultKind::Freeze { victim }), "{} was not frozen", victim);
        }
        prop_assert!(done.contains(&FaultKind::SpoolFull));
        prop_assert!(done.contains(&FaultKind::DiskFull));
        let overlap = faults
            .windows(2)
            .filter(|pair| pair[1].at_ms < pair[0].at_ms + pair[0].lasts_ms);
        prop_assert!(overlap.count() > 5);
    }
}

#[test]
fn different_seeds_make_different_faults() {
    assert_ne!(programme(1, 60), programme(2, 60));
}

#[test]
fn every_link_can_break_in_every_way() {
    let mut links = BTreeSet::new();
    for seed in 0..100 {
        for fault in programme(seed, 600) {
            if let FaultKind::Link { ends, damage } = fault.kind {
                links.insert((ends, damage));
            }
        }
    }
    assert_eq!(links.len(), LinkEnds::all().len() * DAMAGES.len());
    assert_eq!(LinkEnds::all().len(), 16);
}

#[test]
fn fault_survives_serialization() {
    for fault in programme(3, 600) {
        let text = serde_json::to_string(&fault).unwrap();
        let read: Fault = serde_json::from_str(&text).unwrap();
        assert_eq!(read, fault, "{text}");
    }
}
